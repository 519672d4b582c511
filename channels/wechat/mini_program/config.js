// What an installation sets before it uploads the mini-program; README.md says where each value comes from.
module.exports = {
  // The public address of the service, without a slash at the end. It must stand among the request domains in the
  // platform's console. In the developer tools a loopback address works once domain checks are switched off.
  server: "https://verify.example.cn",
  // How long a request may take. The service answers within 4 s; the rest is for a weak signal.
  patienceMs: 10000,
};
