-- wrk: sends the codes of a file in order, from a given one on, and prints one line of JSON at the end.
local requests = {}
local at = 0

function init(args)
  wrk.headers["Content-Type"] = "application/json"
  for code in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", "/api/v1/verifications", nil, '{"code": "' .. code .. '", "locale": "zh-CN"}')
  end
  at = tonumber(args[2])
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  local wrong = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "wrong": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, wrong))
end
