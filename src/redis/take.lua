-- Takes items for a client.
--
-- ARGV: who takes, the number of this step; `l` if the items are lent and `p` if the client has them for good once it
-- has read them; the client; how many at most; how many bytes at most, of which the first may have more; whether the
-- caller waits; pairs of item and delivery that clients of plain queues have read.
-- Returns the number of the first delivery (those of the others follow it) and then of each item its number and its
-- payload; or, if there is none, in how many milliseconds one is due (-1: none is); or `shut`.
--
-- No write that comes first is one that Redis refuses when it is full: what is taken makes room.
local who, step, kind, client = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local max, bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
gone(still_out(ARGV, 8))
local known, took = last(who)
if known == step then
    -- Its answer was lost: what it took is out still, and the same again.
    local first, parts, answer = tonumber(took:match('^%d+')), {}, {}
    for item in took:match('^%d+(.*)$'):gmatch('%d+') do
        parts[#parts + 1] = item
        parts[#parts + 1] = string.format('%d', first + (#parts - 1) / 2)
    end
    local out = still_out(parts, 1)
    if #out * 2 == #parts then
        answer[1] = first
        for _, item in ipairs(out) do
            answer[#answer + 1] = item
            answer[#answer + 1] = call('HGET', q .. 'body', item)
        end
        return answer
    end
    -- Some of it has gone to somebody else meanwhile.
    for _, item in ipairs(out) do put_back(item) end
elseif known and known > step then
    return -1
end
expire()
local head, deliveries, lease, phase = unpack(call('HMGET', q .. 'n', 'head', 'deliveries', 'lease', 'phase'))
head, deliveries = tonumber(head or 0), tonumber(deliveries or 0)
local answer, items, fresh, size = {deliveries}, {}, {}, 0
local back = call('ZCARD', q .. 'back')
while #items < max do
    local item, body
    if back > 0 then
        item = call('ZPOPMIN', q .. 'back')[1]
        body = call('HGET', q .. 'body', item)
    else
        body = call('LPOP', q .. 'wait')
        if not body then break end
    end
    size = size + #body
    if #items > 0 and size > bytes then
        if item then call('ZADD', q .. 'back', item, item) else call('LPUSH', q .. 'wait', body) end
        break
    end
    if item then
        back = back - 1
    else
        head = head + 1
        item = string.format('%d', head)
        fresh[#fresh + 1] = item
        fresh[#fresh + 1] = body
    end
    items[#items + 1] = item
    answer[#answer + 1] = item
    answer[#answer + 1] = body
end
if #items == 0 then
    if phase == 'closed' then return 'shut' end
    -- What is lent may come back, and then somebody must be there for it.
    if phase and call('EXISTS', q .. 'rest') == 0 and not table.concat(call('HVALS', q .. 'owner')):find('l', 1, true) then
        return 'shut'
    end
    if ARGV[7] == '1' then attend('getters') end
    local due = -1
    for _, key in ipairs({'lease', 'rest'}) do
        local next = call('ZRANGE', q .. key, 0, 0, 'WITHSCORES')[2]
        if next then due = math.max(1, math.min(tonumber(next) - now, due < 0 and math.huge or due)) end
    end
    return due
end
if #fresh > 0 then
    -- A thousand of them are as much as Lua passes on.
    call('HSET', q .. 'body', unpack(fresh))
end
local owners, leases = {}, {}
local batch = string.format('%s %d', client, deliveries)
for i, item in ipairs(items) do
    owners[2 * i - 1] = item
    owners[2 * i] = string.format('%s %d %s', kind, deliveries + i - 1, batch)
    leases[2 * i - 1] = now + tonumber(lease or 0)
    leases[2 * i] = item
end
call('HSET', q .. 'owner', unpack(owners))
if kind == 'l' and tonumber(lease or 0) > 0 then call('ZADD', q .. 'lease', unpack(leases)) end
call('HSET', q .. 'n', 'head', string.format('%d', head), 'deliveries', string.format('%d', deliveries + #items))
call('SET', q .. 'once:' .. who, string.format('%d %d %s', step, deliveries, table.concat(items, ' ')), 'EX', 300)
ring(q, 'putters', #items)
return answer
