-- What became of items that are out.
--
-- ARGV: who says it, the number of this step, what became of them, a time in milliseconds, how many tasks are done beside
-- these, pairs of item and delivery.
--   done   they are done, wherever they are by now: one whose lease has ended was done all the same
--   gone   a client of a plain queue has read them; whether they are done it says later
--   fail   work on them has failed; they rest for that time
--   back   they were not tried
--   touch  their lease begins anew
-- Returns of how many of them that is true now; -1 if more tasks are done than there are; -2, and does nothing, if there
-- was no such delivery yet.
local who, step, verb, rest, more = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
-- Redis refuses no write behind one that frees memory, however full it is; and this name is written anew below.
local known, said = last(who)
if known and known >= step then return tonumber(said) end
local deliveries = tonumber(call('HGET', q .. 'n', 'deliveries') or 0)
for i = 7, #ARGV, 2 do
    if tonumber(ARGV[i]) >= deliveries then return -2 end
end
call('DEL', q .. 'once:' .. who)
expire()
local count = 0
if verb == 'done' then
    local items = {}
    for i = 6, #ARGV, 2 do
        local item = ARGV[i]
        if call('HEXISTS', q .. 'owner', item) + call('ZREM', q .. 'rest', item) + call('ZREM', q .. 'back', item) > 0 then
            items[#items + 1] = item
            gone({item})
        end
    end
    count = #items
    if not tasks_done(count + more) then count = -1 end
else
    local items = still_out(ARGV, 6)
    count = #items
    if verb == 'gone' then gone(items) end
    local lease = tonumber(call('HGET', q .. 'n', 'lease') or 0)
    for _, item in ipairs(items) do
        if verb == 'fail' then
            failed(item, rest)
        elseif verb == 'back' then
            put_back(item)
        elseif verb == 'touch' and lease > 0 then
            call('ZADD', q .. 'lease', now + lease, item)
        end
    end
end
call('SET', q .. 'once:' .. who, string.format('%d %d', step, count), 'EX', 300)
return count
