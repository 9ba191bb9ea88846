-- Puts items, as many as there is room for.
--
-- ARGV: who puts (a hub, `h...`, or a client, `c...`), the number of the put, for how long a client's is remembered
-- (seconds), how many items of this put came before these, whether the caller waits for room, the items.
-- Returns how many of these items are in the queue, and why not all are: 0 they are, 1 no room, 2 the queue was shut
-- down, 3 the put comes after a later one, whose number is the third.
--
-- The first write is one that Redis refuses when it is full: then nothing at all was done.
local who, number, before = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local phase, maxsize, unfinished, getters, latest =
    unpack(call('HMGET', n, 'phase', 'maxsize', 'unfinished', 'getters', 's:' .. who))
local is_client = who:sub(1, 1) == 'c'
if is_client then latest = call('GET', q .. 'once:' .. who) end
local known, done = (latest or ''):match('^(%-?%d+) (%d+)')
known = tonumber(known)
if known and known > number then return {0, 3, known} end
local count = #ARGV - 5
-- Those that are in the queue already, as this very put was made before.
local put = known == number and math.min(math.max(0, tonumber(done) - before), count) or 0
if put == count then return {count, 0} end
if phase then return {put, 2} end
local more = count - put
maxsize = tonumber(maxsize or 0)
if maxsize > 0 then
    more = math.max(0, math.min(more, maxsize - call('LLEN', q .. 'wait') - call('ZCARD', q .. 'back')))
end
if more > 0 then
    call('RPUSH', q .. 'wait', unpack(ARGV, 6 + put, 5 + put + more))
    put = put + more
    local step = string.format('%d %d', number, before + put)
    unfinished = string.format('%d', tonumber(unfinished or 0) + more)
    if is_client then
        call('HSET', n, 'unfinished', unfinished)
        call('SET', q .. 'once:' .. who, step, 'EX', ARGV[3])
    else
        call('HSET', n, 'unfinished', unfinished, 's:' .. who, step)
    end
    ring(q, 'getters', getters, more)
end
if put == count then return {put, 0} end
if ARGV[5] == '1' then attend('putters') end
return {put, 1}
