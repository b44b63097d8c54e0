-- Redis' clock, the only one that decides: microseconds (16 digits) and milliseconds (13 digits). Strings of one width
-- compare like numbers, and formatting numbers is what costs in Lua.
local time = redis.call('TIME')
local micros = time[1] .. string.sub('00000' .. time[2], -6)
local now = string.sub(micros, 1, 13)
