-- What became of items that are out.
--
-- ARGV: the hub's name for this call, the number of this step, what became of them, a time in milliseconds (empty: the
-- queue's own), how many tasks are done beside these, pairs of item and delivery.
--   done   they are done, wherever they are by now: one whose lease has ended was done all the same
--   gone   a client of a plain queue has read them; whether they are done it says later
--   fail   work on them has failed; they rest for that time
--   back   they were not tried
--   touch  their lease begins anew
-- Returns of how many of them that is true now; -1 if more tasks are done than there are; -2, and does nothing, if
-- there was no such delivery yet.
local who, step, verb, rest, more = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local unfinished, joiners, deliveries, lease, latest =
    unpack(call('HMGET', n, 'unfinished', 'joiners', 'deliveries', 'lease', 's:' .. who))
local known, said = (latest or ''):match('^(%d+) (%-?%d+)')
if known and tonumber(known) >= step then return tonumber(said) end
deliveries = tonumber(deliveries or 0)
for i = 7, #ARGV, 2 do
    if tonumber(ARGV[i]) >= deliveries then return -2 end
end
-- Redis refuses no write behind one that frees memory, however full it is.
call('HDEL', n, 's:' .. who)
expire()
local count, items = 0, {}
if verb == 'done' then
    for i = 6, #ARGV, 2 do items[#items + 1] = ARGV[i] end
    local done = {}
    if #items > 0 then
        for i, has in ipairs(call('HMGET', owner, unpack(items))) do
            local item = items[i]
            if has or call('ZREM', q .. 'back', item) + call('ZREM', q .. 'rest', item) > 0 then
                done[#done + 1] = item
            end
        end
        gone(done)
    end
    count = #done
    local left = tonumber(special and call('HGET', n, 'unfinished') or unfinished or 0) - count - more
    if left < 0 then
        count = -1
    else
        unfinished = string.format('%d', left)
        call('HSET', n, 'unfinished', unfinished)
        if left == 0 then ring(q, 'joiners', joiners, 64) end
    end
else
    items = still_out(ARGV, 6)
    count = #items
    lease = tonumber(lease or 0)
    if verb == 'gone' then gone(items) end
    for _, item in ipairs(items) do
        if verb == 'fail' then
            failed(item, rest)
        elseif verb == 'back' then
            put_back(item)
        elseif verb == 'touch' and lease > 0 then
            call('ZADD', q .. 'lease', now() + lease, item)
        end
    end
end
call('HSET', n, 's:' .. who, string.format('%d %d', step, count))
return count
