// The whole program keeps no state of its own: a question, a session and an answer each live in their module of lib/.
App({
  // Printed links and old share cards outlive pages: what is not found opens the check page.
  onPageNotFound() {
    wx.redirectTo({ url: "/pages/check/check" });
  },
});
