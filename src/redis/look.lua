-- What is in the queue.
--
-- ARGV: whether the caller waits until all tasks are done, if they are not.
-- Returns how many items wait, are out (those that rest too), rest; how many tasks are unfinished; how many items were put
-- and got, and came back; how many hubs there are; about how many bytes it all takes; whether a put would wait.
expire()
local n = call('HMGET', q .. 'n', 'head', 'unfinished', 'gets', 'returned', 'maxsize')
for i = 1, 5 do n[i] = tonumber(n[i] or 0) end
local head, unfinished, gets, returned, maxsize = unpack(n)
local wait, rest = call('LLEN', q .. 'wait'), call('ZCARD', q .. 'rest')
local length = wait + call('ZCARD', q .. 'back')
if unfinished > 0 and ARGV[1] == '1' then attend('joiners') end
local bytes = 0
for _, key in ipairs({'wait', 'body'}) do
    local used = redis.pcall('MEMORY', 'USAGE', q .. key)
    bytes = bytes + (type(used) == 'number' and used or 0)
end
local hubs = call('ZCOUNT', q .. 'hubs', now, '+inf')
local full = (maxsize > 0 and length >= maxsize) and 1 or 0
return {length, call('HLEN', q .. 'owner') + rest, rest, unfinished, head + wait, gets, returned, hubs, bytes, full}
