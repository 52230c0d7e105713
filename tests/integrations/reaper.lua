-- A stand-in for REAPER's functions, as far as integrations/reaper/melody.lua uses them: two tracks with an item each.
-- Arguments: the script, address, token. Prints what the project holds afterwards.

local script, address, token = arg[1], arg[2], arg[3]
local ppq = 960
local function track(name, notes) return { name = name, items = { { position = 2, length = 8, notes = notes } }, mute = 0 } end
local bass, kit = {}, {}
for quarter = 0, 15 do
  bass[#bass + 1] = { quarter * ppq, (quarter + 1) * ppq, ({ 40, 40, 43, 45 })[quarter % 4 + 1], 90 }
  kit[#kit + 1] = { quarter * ppq, quarter * ppq + 240, quarter % 2 == 0 and 36 or 38, 100 }
end
local tracks = { track("Bass", bass), track("Drum Kit", kit) }
local selected = { tracks[1].items[1], tracks[2].items[1] }
for _, one in ipairs(tracks) do one.items[1].track = one end
local kept, said = {}, nil
local start = 4 -- quarters before the items: one bar at 120

reaper = {
  CountSelectedMediaItems = function() return #selected end,
  GetSelectedMediaItem = function(_, index) return selected[index + 1] end,
  GetMediaItemInfo_Value = function(item, what) return what == "D_POSITION" and item.position or item.length end,
  GetMediaItem_Track = function(item) return item.track end,
  GetTrackName = function(one) return true, one.name end,
  GetActiveTake = function(item) return item end,
  TakeIsMIDI = function() return true end,
  MIDI_CountEvts = function(item) return true, #item.notes, 0, 0 end,
  MIDI_GetNote = function(item, index)
    local note = item.notes[index + 1]
    return true, false, false, note[1], note[2], 0, note[3], note[4]
  end,
  MIDI_GetProjQNFromPPQPos = function(_, at) return start + at / ppq end,
  MIDI_GetPPQPosFromProjQN = function(item, quarter) return (quarter - item.quarter) * ppq end,
  TimeMap2_timeToBeats = function(_, time) return 0, math.floor(time * 2 / 4), 4, time * 2, 4 end,
  TimeMap_GetMeasureInfo = function(_, bar) return bar * 2.0, bar * 4.0, bar * 4.0 + 4, 4, 4, 120.0 end,
  TimeMap2_QNToTime = function(_, quarter) return quarter / 2 end,
  GetExtState = function(_, name) return kept[name] or "" end,
  SetExtState = function(_, name, value) kept[name] = value end,
  GetUserInputs = function() return true, address .. "," .. token .. ",2,2" end,
  ExecProcess = function(command)
    local pipe = io.popen(command)
    local text = pipe:read("a")
    local _, _, code = pipe:close()
    return code .. "\n" .. text
  end,
  GetMediaTrackInfo_Value = function(one)
    for index, other in ipairs(tracks) do if other == one then return index end end
  end,
  InsertTrackAtIndex = function(index) table.insert(tracks, index + 1, { name = "", items = {}, mute = 0 }) end,
  GetTrack = function(_, index) return tracks[index + 1] end,
  GetSetMediaTrackInfo_String = function(one, _, value) one.name = value end,
  SetMediaTrackInfo_Value = function(one, _, value) one.mute = value end,
  CreateNewMIDIItemInProj = function(one, from, to)
    local item = { position = from, length = to - from, quarter = from * 2, notes = {}, track = one }
    one.items[#one.items + 1] = item
    return item
  end,
  MIDI_InsertNote = function(item, _, _, from, to, channel, pitch, velocity)
    item.notes[#item.notes + 1] = { from, to, pitch, velocity, channel }
  end,
  MIDI_Sort = function() end,
  Undo_BeginBlock = function() end,
  Undo_EndBlock = function(name) kept.undo = name end,
  PreventUIRefresh = function() end,
  TrackList_AdjustWindows = function() end,
  UpdateArrange = function() end,
  ShowMessageBox = function(text) said = text end,
}
if arg[4] == "nothing" then selected = {} end
dofile(script)
if said then print("said\t" .. said) end
for _, one in ipairs(tracks) do
  for _, item in ipairs(one.items) do
    print(table.concat({ "track", one.name, one.mute, item.position, item.length, #item.notes }, "\t"))
    if item.quarter then
      for _, note in ipairs(item.notes) do print(table.concat({ "note", note[1] / ppq, note[2] / ppq, note[3], note[4], note[5] }, "\t")) end
    end
  end
end
