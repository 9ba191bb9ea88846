-- Takes items for a client.
--
-- ARGV: the hub's name for this call, the number of this step; `l` if the items are lent and `p` if the client has them
-- for good once it has read them; the client; how many at most; how many bytes at most, of which the first may have
-- more; whether the caller waits; pairs of item and delivery that clients of plain queues have read. Returns the number
-- of the first delivery (those of the others follow it) and then of each item its number and its payload; or, if there
-- is none, in how many milliseconds one is due (-1: none is); or `shut`.
--
-- No write that comes first is one that Redis refuses when it is full: what is taken makes room.
local who, step, kind, client = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local max, bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
if #ARGV > 7 then gone(still_out(ARGV, 8)) end
local head, deliveries, lease, phase, putters, latest =
    unpack(call('HMGET', n, 'head', 'deliveries', 'lease', 'phase', 'putters', 's:' .. who))
local known = tonumber((latest or ''):match('^%d+'))
if known and known > step then return -1 end
if known == step then
    -- Its answer was lost. What it took is the same again, unless some of it has gone to somebody else meanwhile.
    local first, parts = latest:match('^%d+ (%d+)'), {}
    for item in latest:match('^%d+ %d+(.*)$'):gmatch('%d+') do
        parts[#parts + 1] = item
        parts[#parts + 1] = string.format('%d', first + (#parts - 1) / 2)
    end
    local out, answer = still_out(parts, 1), {tonumber(first)}
    if #out * 2 == #parts then
        for _, item in ipairs(out) do
            answer[#answer + 1] = item
            answer[#answer + 1] = call('HGET', body, item)
        end
        return answer
    end
    for _, item in ipairs(out) do put_back(item) end
end
expire()
head, deliveries = tonumber(head or 0), tonumber(deliveries or 0)
local answer, items, fresh, size = {deliveries}, {}, {}, 0

local function add(item, payload)
    size = size + #payload
    items[#items + 1] = item
    answer[#answer + 1] = item
    answer[#answer + 1] = payload
end

-- First what has come back.
for _ = 1, math.min(call('ZCARD', q .. 'back'), max) do
    local item = call('ZRANGE', q .. 'back', 0, 0)[1]
    local payload = call('HGET', body, item)
    if #items > 0 and size + #payload > bytes then
        max = #items
        break
    end
    call('ZREM', q .. 'back', item)
    -- A plain get forgets what has become of it.
    if kind == 'p' and special then call('HDEL', q .. 'tries', item) end
    add(item, payload)
end
-- Then what was never taken: one, and by its size as many as are likely to be few enough.
while #items < max do
    local average = size / math.max(1, #items)
    local likely = #items == 0 and 1 or math.floor((bytes - size) / math.max(average, 1))
    if likely < 1 then break end
    local payloads = call('LPOP', q .. 'wait', math.min(likely, max - #items, 256))
    if not payloads then break end
    for i, payload in ipairs(payloads) do
        if #items > 0 and size + #payload > bytes then
            for back = #payloads, i, -1 do call('LPUSH', q .. 'wait', payloads[back]) end
            max = #items
            break
        end
        head = head + 1
        local item = string.format('%d', head)
        fresh[#fresh + 1] = item
        fresh[#fresh + 1] = payload
        add(item, payload)
    end
end
if #items == 0 then
    if phase == 'closed' then return 'shut' end
    -- What is lent may come back, and then somebody must be there for it.
    if phase and call('EXISTS', q .. 'rest') == 0 and not table.concat(call('HVALS', owner)):find('l', 1, true) then
        return 'shut'
    end
    if ARGV[7] == '1' then attend('getters') end
    local due = -1
    for _, key in ipairs({'lease', 'rest'}) do
        local next = special and call('ZRANGE', q .. key, 0, 0, 'WITHSCORES')[2]
        if next then due = math.max(1, math.min(tonumber(next) - now(), due < 0 and math.huge or due)) end
    end
    return due
end
-- A thousand items, in pairs, are as much as Lua passes on.
if #fresh > 0 then call('HSET', body, unpack(fresh)) end
local owners = {}
local batch = string.format(' %s %d', client, deliveries)
for i, item in ipairs(items) do
    owners[2 * i - 1] = item
    owners[2 * i] = string.format('%s %d', kind, deliveries + i - 1) .. batch
end
call('HSET', owner, unpack(owners))
lease = tonumber(lease or 0)
if kind == 'l' and lease > 0 then
    local leases, due = {}, now() + lease
    for i, item in ipairs(items) do
        leases[2 * i - 1] = due
        leases[2 * i] = item
    end
    call('ZADD', q .. 'lease', unpack(leases))
end
call('HSET', n, 'head', string.format('%d', head), 'deliveries', string.format('%d', deliveries + #items),
    's:' .. who, string.format('%d %d ', step, deliveries) .. table.concat(items, ' '))
ring(q, 'putters', putters, #items)
return answer
