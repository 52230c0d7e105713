-- melody for REAPER: send the selected MIDI items to a melody server, get takes as new tracks below.
--
-- Start `melody serve` (or `melody studio`), select MIDI items, run this action. It asks for the server's address and
-- token once, for what to do and how many takes. Takes come as tracks of their own, one take after the other, all but
-- the first muted; one undo takes them away. It needs `curl`, which macOS, Windows and most Linux systems have.

local TITLE, SECTION = "melody", "melody"
local TPQ = 480
local SECONDS = 120 -- to wait for an answer

-- ---- JSON: as much of it as melody's answers hold ----

local function decode(text)
  local at = 1
  local value
  local function skip() at = text:find("[^ \t\r\n]", at) or #text + 1 end
  local function fail(what) error("the answer is no JSON (" .. what .. " at " .. at .. ")", 0) end
  local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
  local function string()
    local parts = {}
    at = at + 1
    while true do
      local plain = text:match('^[^"\\]+', at) or ""
      parts[#parts + 1], at = plain, at + #plain
      local sign = text:sub(at, at)
      if sign == '"' then at = at + 1 return table.concat(parts) end
      if sign ~= "\\" then fail("text") end
      local letter = text:sub(at + 1, at + 1)
      if letter == "u" then
        parts[#parts + 1], at = utf8.char(tonumber(text:sub(at + 2, at + 5), 16)), at + 6
      else
        parts[#parts + 1], at = escapes[letter] or letter, at + 2
      end
    end
  end
  local function list(close, entry)
    local result, count = {}, 0
    at = at + 1
    skip()
    if text:sub(at, at) == close then at = at + 1 return result end
    while true do
      count = count + 1
      entry(result, count)
      skip()
      local sign = text:sub(at, at)
      at = at + 1
      if sign == close then return result end
      if sign ~= "," then fail("list") end
    end
  end
  function value()
    skip()
    local sign = text:sub(at, at)
    if sign == "{" then
      return list("}", function(result)
        skip()
        local name = string()
        skip()
        at = at + 1 -- the colon
        result[name] = value()
      end)
    end
    if sign == "[" then return list("]", function(result, count) result[count] = value() end) end
    if sign == '"' then return string() end
    for word, meaning in pairs({ ["true"] = true, ["false"] = false }) do
      if text:sub(at, at + #word - 1) == word then at = at + #word return meaning end
    end
    if text:sub(at, at + 3) == "null" then at = at + 4 return nil end
    local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
    if not number then fail("value") end
    at = at + #number
    return tonumber(number)
  end
  return value()
end

-- ---- the server ----

local function quoted(text)
  if package.config:sub(1, 1) == "\\" then return '"' .. text:gsub('"', "") .. '"' end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function asked(server, method, path, body, kind)
  local file = os.tmpname()
  local out = assert(io.open(file, "wb"))
  -- the token stands in a file, not in the list of processes
  out:write('header = "Authorization: Bearer ' .. server.token .. '"\n')
  local data
  if body then
    data = os.tmpname()
    local bytes = assert(io.open(data, "wb"))
    bytes:write(body)
    bytes:close()
    out:write('header = "Content-Type: ' .. kind .. '"\n')
    out:write('data-binary = "@' .. data:gsub("\\", "/") .. '"\n')
  end
  out:write("silent\nmax-time = " .. SECONDS .. '\nrequest = "' .. method .. '"\nurl = "' .. server.url .. path .. '"\n')
  out:close()
  local answer = reaper.ExecProcess("curl --config " .. quoted(file), SECONDS * 1000)
  os.remove(file)
  if data then os.remove(data) end
  local code, text = (answer or ""):match("^(%-?%d+)[\r\n]+(.*)$")
  if code ~= "0" then error("no answer from " .. server.url .. "; start melody serve, and check address and token", 0) end
  local told = decode(text)
  if told.error then error(told.error.message, 0) end
  return told
end

-- ---- MIDI out of the project ----

local function variable(value)
  local digits = string.char(value % 128)
  value = value // 128
  while value > 0 do
    digits = string.char(value % 128 + 128) .. digits
    value = value // 128
  end
  return digits
end

local function chunk(name, events)
  table.sort(events, function(a, b) return a.tick < b.tick or (a.tick == b.tick and a.order < b.order) end)
  local parts, last = {}, 0
  for _, event in ipairs(events) do
    parts[#parts + 1] = variable(event.tick - last) .. event.bytes
    last = event.tick
  end
  parts[#parts + 1] = "\0\xff\x2f\0"
  local label = "\0\xff\x03" .. variable(#name) .. name
  local data = label .. table.concat(parts)
  return "MTrk" .. string.pack(">I4", #data) .. data
end

local function notes_of(item, origin, channel, events)
  local take = reaper.GetActiveTake(item)
  if not take or not reaper.TakeIsMIDI(take) then return 0 end
  local _, count = reaper.MIDI_CountEvts(take)
  for index = 0, count - 1 do
    local _, _, muted, from, to, _, pitch, velocity = reaper.MIDI_GetNote(take, index)
    if not muted then
      local function tick(ppq) return math.max(0, math.floor((reaper.MIDI_GetProjQNFromPPQPos(take, ppq) - origin) * TPQ + 0.5)) end
      local on, off = tick(from), tick(to)
      events[#events + 1] = { tick = on, order = 2, bytes = string.char(0x90 + channel, pitch, velocity) }
      events[#events + 1] = { tick = math.max(on + 1, off), order = 1, bytes = string.char(0x80 + channel, pitch, 0) }
    end
  end
  return count
end

-- The selected items as a MIDI file whose first bar is the first of theirs; the tracks, and where that bar begins.
local function selection()
  local tracks, by_track, first, last, channel = {}, {}, math.huge, 0, 0
  for index = 0, reaper.CountSelectedMediaItems(0) - 1 do
    local item = reaper.GetSelectedMediaItem(0, index)
    local start = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
    first = math.min(first, start)
    last = math.max(last, start + reaper.GetMediaItemInfo_Value(item, "D_LENGTH"))
  end
  if last == 0 then error("select MIDI items first", 0) end
  local _, bar = reaper.TimeMap2_timeToBeats(0, first + 1e-6)
  local origin = select(2, reaper.TimeMap_GetMeasureInfo(0, bar)) -- quarters at which that bar begins
  local counted = 0
  for index = 0, reaper.CountSelectedMediaItems(0) - 1 do
    local item = reaper.GetSelectedMediaItem(0, index)
    local track = reaper.GetMediaItem_Track(item)
    if not by_track[track] then
      local _, name = reaper.GetTrackName(track)
      local drums = name:lower():find("drum") or name:lower():find("kit") or name:lower():find("beat")
      local on = 9
      if not drums then
        on = channel
        channel = (channel + 1) % 15
        if channel == 9 then channel = 10 end
      end
      by_track[track] = { name = name, channel = on, events = {} }
      tracks[#tracks + 1] = track
    end
    counted = counted + notes_of(item, origin, by_track[track].channel, by_track[track].events)
  end
  if counted == 0 then error("the selected items hold no MIDI notes", 0) end
  local _, _, _, numerator, denominator, qpm = reaper.TimeMap_GetMeasureInfo(0, bar)
  local mspq = math.floor(60e6 / qpm + 0.5)
  local power = math.floor(math.log(denominator, 2) + 0.5)
  local conductor = {
    { tick = 0, order = 0, bytes = "\xff\x51\3" .. string.pack(">I3", mspq) },
    { tick = 0, order = 0, bytes = "\xff\x58\4" .. string.char(numerator, power, 24, 8) },
  }
  local file = { "MThd", string.pack(">I4I2I2I2", 6, 1, #tracks + 1, TPQ), chunk("", conductor) }
  for _, track in ipairs(tracks) do file[#file + 1] = chunk(by_track[track].name, by_track[track].events) end
  return table.concat(file), tracks, origin
end

-- ---- takes into the project ----

local function insert(score, label, place, origin, muted)
  local from = score.take.first_new_tick / score.take.tpq
  local bars = score.bars[#score.bars] / score.tpq
  local start, stop = reaper.TimeMap2_QNToTime(0, origin + from), reaper.TimeMap2_QNToTime(0, origin + bars)
  for _, track in ipairs(score.tracks) do
    local new = {}
    for _, note in ipairs(track.notes) do
      if note[1] / score.tpq >= from then new[#new + 1] = note end
    end
    if #new > 0 then
      reaper.InsertTrackAtIndex(place, true)
      local here = reaper.GetTrack(0, place)
      reaper.GetSetMediaTrackInfo_String(here, "P_NAME", label .. ": " .. track.name, true)
      if muted then reaper.SetMediaTrackInfo_Value(here, "B_MUTE", 1) end
      local take = reaper.GetActiveTake(reaper.CreateNewMIDIItemInProj(here, start, stop, false))
      for _, note in ipairs(new) do
        local function ppq(ticks) return reaper.MIDI_GetPPQPosFromProjQN(take, origin + ticks / score.tpq) end
        local channel = track.drums and 9 or 0
        reaper.MIDI_InsertNote(take, false, false, ppq(note[1]), ppq(note[1] + note[2]), channel, note[3], note[4], true)
      end
      reaper.MIDI_Sort(take)
      place = place + 1
    end
  end
  return place
end

local function settings()
  local known = reaper.GetExtState(SECTION, "address") .. "," .. reaper.GetExtState(SECTION, "token") .. ",8,4"
  local fine, given = reaper.GetUserInputs(TITLE, 4, "Address,Token,Bars,Takes,extrawidth=160", known)
  if not fine then return nil end
  local address, token, bars, takes = given:match("^%s*([^,]*)%s*,%s*([^,]*)%s*,%s*(%d+)%s*,%s*(%d+)%s*$")
  if not address or address == "" or token == "" then error("give address and token, as melody serve prints them", 0) end
  address = address:gsub("/docs$", ""):gsub("/$", "")
  if not address:match("^https?://[%w%.%-:%[%]]+$") or not token:match("^[%w_%-]+$") then
    error("address and token are those that melody serve prints, as http://127.0.0.1:7890", 0)
  end
  reaper.SetExtState(SECTION, "address", address, true)
  reaper.SetExtState(SECTION, "token", token, true)
  return { url = address, token = token }, tonumber(bars), tonumber(takes)
end

local function main()
  local midi, tracks, origin = selection()
  local server, bars, takes = settings()
  if not server then return end
  local theme = asked(server, "POST", "/v1/scores?name=reaper.mid", midi, "application/octet-stream")
  local body = ('{"score": "%s", "settings": {"bars": %d}, "takes": %d}'):format(theme.id, bars, takes)
  local composed = asked(server, "POST", "/v1/compose", body, "application/json")
  reaper.Undo_BeginBlock()
  reaper.PreventUIRefresh(1)
  local place = math.floor(reaper.GetMediaTrackInfo_Value(tracks[#tracks], "IP_TRACKNUMBER"))
  for number, take in ipairs(composed.takes) do
    local score = asked(server, "GET", "/v1/scores/" .. take.score)
    place = insert(score, "take " .. number, place, origin, number > 1)
  end
  reaper.PreventUIRefresh(-1)
  reaper.TrackList_AdjustWindows(false)
  reaper.UpdateArrange()
  reaper.Undo_EndBlock("melody: " .. #composed.takes .. " takes", -1)
end

local fine, problem = pcall(main)
if not fine then reaper.ShowMessageBox(tostring(problem), TITLE, 0) end
