-- Puts items, as many as there is room for.
--
-- ARGV: who puts, the number of the put, for how long that is remembered (seconds), how many items of this put came
-- before these, whether the caller waits for room, the items.
-- Returns how many of these items are in the queue, and why not all are: 0 they are, 1 no room, 2 the queue was shut
-- down, 3 the put comes after a later one, whose number is the third.
--
-- The first write is one that Redis refuses when it is full: then nothing at all was done.
local who, number, before = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local known, done = last(who)
if known and known > number then return {0, 3, known} end
local count = #ARGV - 5
-- Those that are in the queue already, as this very put was made before.
local put = known == number and math.min(math.max(0, tonumber(done) - before), count) or 0
if put == count then return {count, 0} end
local phase, maxsize = unpack(call('HMGET', q .. 'n', 'phase', 'maxsize'))
if phase then return {put, 2} end
local more = count - put
maxsize = tonumber(maxsize or 0)
if maxsize > 0 then
    more = math.max(0, math.min(more, maxsize - call('LLEN', q .. 'wait') - call('ZCARD', q .. 'back')))
end
if more > 0 then
    call('RPUSH', q .. 'wait', unpack(ARGV, 6 + put, 5 + put + more))
    call('HINCRBY', q .. 'n', 'unfinished', more)
    put = put + more
    call('SET', q .. 'once:' .. who, string.format('%d %d', number, before + put), 'EX', ARGV[3])
    ring(q, 'getters', more)
end
if put == count then return {put, 0} end
if ARGV[5] == '1' then attend('putters') end
return {put, 1}
