-- Requests the paths of a file, each once or round and round, and prints what it saw as one line of JSON.
-- wrk -s load.lua URL -- PATHS THREADS TARGETS METHOD LOOP DELAY_MS AUTHORIZATION
-- Thread n takes every THREADS-th path, from the n-th on, and the n-th of TARGETS (host:port, comma separated).
local threads = {}

function setup(thread)
   thread:set("number", #threads)
   table.insert(threads, thread)
end

function init(args)
   local count, targets, method = tonumber(args[2]), {}, args[4]
   loop, wait, exhausted, odd = args[5] == "loop", tonumber(args[6]), 0, 0
   for host, port in string.gmatch(args[3], "([^:,]+):(%d+)") do
      table.insert(targets, { host, port })
   end
   local target = targets[number % #targets + 1]
   wrk.thread.addr = wrk.lookup(target[1], target[2])[1]
   local headers = { Host = target[1] .. ":" .. target[2] }
   if args[7] and args[7] ~= "" then
      headers["Authorization"] = args[7]
   end
   requests, position = {}, 0
   local line = 0
   for path in io.lines(args[1]) do
      if line % count == number then
         table.insert(requests, wrk.format(method, path, headers))
      end
      line = line + 1
   end
   math.randomseed(number + 1)
   if wait > 0 then
      delay = function()
         return math.random(0, 2 * wait)
      end
   end
end

function request()
   position = position + 1
   if position > #requests then
      if not loop then
         exhausted = 1
         wrk.thread:stop()
      end
      position = 1
   end
   return requests[position]
end

function done(summary, latency, _)
   local exhausted = 0
   for _, thread in ipairs(threads) do
      exhausted = exhausted + thread:get("exhausted")
   end
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      '\n{"requests":%d,"seconds":%.6f,"bytes":%d,"failed":%d,"exhausted":%d,"p50":%.3f,"p99":%.3f,"max":%.3f}\n',
      summary.requests, summary.duration / 1e6, summary.bytes, failed, exhausted,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
