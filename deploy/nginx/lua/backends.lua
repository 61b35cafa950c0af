-- Which process of a service a request goes to, where their addresses come and go.
-- One file a service in the folder of deploy/nginx/node.py: an address and a port on each line.
local balancer = require "ngx.balancer"

local SECONDS = 0.5 -- between two looks at the files

local backends = {}
local found = {} -- service -> list of {host, port, name}
local turns = {} -- service -> how many requests it got from this worker

local function read(folder, service)
    local file = io.open(folder .. "/" .. service)
    if not file then
        return
    end
    local list = {}
    for line in file:lines() do
        local host, port = line:match("^(%S+) (%d+)$")
        if host then
            list[#list + 1] = {host = host, port = tonumber(port), name = line}
        end
    end
    file:close()
    found[service] = list
end

function backends.watch(folder, services)
    local function look()
        for _, service in ipairs(services) do
            read(folder, service)
        end
    end
    look()
    assert(ngx.timer.every(SECONDS, look))
end

-- Each is tried once, then any again: a connection that was kept, and that its service closed, is no failure.
local function choose(list, rank)
    if not list or #list == 0 then
        return ngx.exit(ngx.DECLINED)
    end
    local context = ngx.ctx
    if not balancer.get_last_failure() then
        context.tried = {}
        balancer.set_more_tries(1) -- proxy_next_upstream_tries says no more either
    end
    local best, best_rank
    for index, backend in ipairs(list) do
        if not context.tried[backend.name] then
            local its_rank = rank(index, backend)
            if not best or its_rank > best_rank then
                best, best_rank = backend, its_rank
            end
        end
    end
    best = best or list[1]
    context.tried[best.name] = true
    assert(balancer.set_current_peer(best.host, best.port))
end

function backends.in_turn(service)
    local list = found[service]
    local turn = (turns[service] or 0) + 1
    turns[service] = turn
    return choose(list, function(index)
        return (index + turn) % #list
    end)
end

-- Rendezvous hashing: when a backend comes or goes, only its own share of the keys moves.
function backends.by_key(service, key)
    return choose(found[service], function(_, backend)
        return ngx.md5_bin(backend.name .. " " .. key)
    end)
end

return backends
