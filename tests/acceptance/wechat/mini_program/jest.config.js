// The mini-program's tests: WeChat's own simulator in jsdom. test_mini_program.py starts the service and runs them.
const path = require("path");

const root = path.resolve(__dirname, "../../../..");

module.exports = {
  rootDir: root,
  roots: [__dirname, path.join(root, "channels/wechat/mini_program")],
  testEnvironment: "jsdom",
  testMatch: ["**/*.test.js"],
  transform: {},
  watchman: false,
  testTimeout: 15000,
};
