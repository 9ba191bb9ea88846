-- What is in the queue.
--
-- ARGV: whether the caller waits until all tasks are done, if they are not. Returns how many items wait, are out (those
-- that rest too), rest; how many tasks are unfinished; how many items were put and got, and came back; how many hubs
-- there are; about how many bytes it all takes; whether a put would wait.
expire()
local figures = call('HMGET', n, 'head', 'unfinished', 'returned', 'maxsize', 'dropped')
for i = 1, 5 do figures[i] = tonumber(figures[i] or 0) end
local head, unfinished, returned, maxsize, dropped = unpack(figures)
local wait, back = call('LLEN', q .. 'wait'), call('ZCARD', q .. 'back')
local out, rest = call('HLEN', owner), call('ZCARD', q .. 'rest')
if unfinished > 0 and ARGV[1] == '1' then attend('joiners') end
local bytes = 0
for _, key in ipairs({q .. 'wait', body}) do
    local used = redis.pcall('MEMORY', 'USAGE', key)
    bytes = bytes + (type(used) == 'number' and used or 0)
end
local hubs = call('ZCOUNT', q .. 'hubs', now(), '+inf')
local full = (maxsize > 0 and wait + back >= maxsize) and 1 or 0
-- What was taken and is nowhere any more was got.
local gets = head - out - back - rest - dropped
return {wait + back, out + rest, rest, unfinished, head + wait, gets, returned, hubs, bytes, full}
