"""WeChat as a channel: official accounts, mini-programs, and what the web page needs inside WeChat's browser."""
