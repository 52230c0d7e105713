ardour {
  ["type"] = "EditorAction",
  name = "melody",
  license = "MIT",
  author = "The melody developers",
  description = [[Send the selected MIDI regions (or all, where none is selected) to a melody server; takes come as new tracks that begin where they end.

Start `melody serve` first. Address and token are asked for, unless MELODY_URL and MELODY_TOKEN say them. Needs curl.]],
}

function factory () return function ()
  local BARS, TAKES, SECONDS = 8, 2, 120

  local function say (text)
    LuaDialog.Message ("melody", text, LuaDialog.MessageType.Info, LuaDialog.ButtonType.Close):run ()
  end

  local function settings ()
    local given = { url = os.getenv ("MELODY_URL"), token = os.getenv ("MELODY_TOKEN"), bars = BARS, takes = TAKES }
    if given.url and given.token then return given end
    return LuaDialog.Dialog ("melody", {
      { type = "entry", key = "url", default = "http://127.0.0.1:7890", title = "Address" },
      { type = "entry", key = "token", default = "", title = "Token" },
      { type = "number", key = "bars", title = "Bars", min = 1, max = 64, default = BARS },
      { type = "number", key = "takes", title = "Takes", min = 1, max = 9, default = TAKES },
    }):run ()
  end

  local function read (path)
    local file = assert (io.open (path, "rb"))
    local data = file:read ("a")
    file:close ()
    return data
  end

  local function write (path, data)
    local file = assert (io.open (path, "wb"))
    file:write (data)
    file:close ()
  end

  -- One call of the server by curl; the token stands in a file, not in the list of processes.
  local function call (server, path, body, kind, target)
    local config, answer = os.tmpname (), target or os.tmpname ()
    local lines = {
      'header = "Authorization: Bearer ' .. server.token .. '"', "silent", "max-time = " .. SECONDS,
      'url = "' .. server.url .. path .. '"', 'output = "' .. answer .. '"',
    }
    local data
    if body then
      data = os.tmpname ()
      write (data, body)
      lines[#lines + 1] = 'header = "Content-Type: ' .. kind .. '"'
      lines[#lines + 1] = 'data-binary = "@' .. data .. '"'
    end
    write (config, table.concat (lines, "\n"))
    local pipe = io.popen ("curl --config '" .. config .. "'")
    local ended = pipe:close ()
    os.remove (config)
    if data then os.remove (data) end
    if not ended then error ("no answer from " .. server.url .. "; start melody serve, and check address and token", 0) end
    if target then return target end
    local text = read (answer)
    os.remove (answer)
    local problem = text:match ('"error":{.-"message":"(.-)"}') or text:match ('"error": {.-"message": "(.-)"}')
    if problem then error (problem, 0) end
    return text
  end

  -- The tracks of several MIDI files of one resolution as one file, each with its name.
  local function joined (parts)
    local tracks, division = {}, nil
    for _, part in ipairs (parts) do
      local data = read (part.path)
      division = division or data:sub (13, 14)
      if data:sub (13, 14) ~= division then error ("the regions have different MIDI resolutions", 0) end
      local at = 9 + string.unpack (">I4", data, 5)
      while at <= #data - 8 do
        local size = string.unpack (">I4", data, at + 4)
        local name = "\0\xff\x03" .. string.char (math.min (#part.name, 120)) .. part.name:sub (1, 120)
        local events = name .. data:sub (at + 8, at + 7 + size)
        tracks[#tracks + 1] = "MTrk" .. string.pack (">I4", #events) .. events
        at = at + 8 + size
      end
    end
    return "MThd" .. string.pack (">I4I2I2", 6, 1, #tracks) .. division .. table.concat (tracks)
  end

  -- The selected regions, or all where none is selected.
  local function regions ()
    local found = {}
    for region in Editor:get_selection ().regions:regionlist ():iter () do found[#found + 1] = region end
    if #found > 0 then return found end
    for route in Session:get_routes ():iter () do
      local track = route:to_track ()
      if not track:isnil () then
        for region in track:playlist ():region_list ():iter () do found[#found + 1] = region end
      end
    end
    return found
  end

  local function main ()
    local parts, stop = {}, 0
    for _, region in ipairs (regions ()) do
      local midi = region:to_midiregion ()
      if not midi:isnil () then
        local name = region:name ():gsub ("^.*%.mid%-", ""):gsub ("%-%d+$", ""):gsub ("%.%d+$", "")
        parts[#parts + 1] = { path = region:source (0):to_filesource ():path (), name = name }
        stop = math.max (stop, region:position ():samples () + region:length ():samples ())
      end
    end
    if #parts == 0 then error ("there are no MIDI regions; import or record some first", 0) end
    Session:save_state ("", false, false, false, false, false) -- so that what was just played is in the files
    local server = settings ()
    if not server then return end
    server.url = server.url:gsub ("/docs$", ""):gsub ("/$", "")
    if not (server.url:match ("^https?://[%w%.%-:]+$") and server.token:match ("^[%w_%-]+$")) then
      error ("address and token are those that melody serve prints, as http://127.0.0.1:7890", 0)
    end
    local told = call (server, "/v1/scores?name=ardour.mid", joined (parts), "application/octet-stream")
    local body = ('{"score": "%s", "settings": {"bars": %d, "only_new": true}, "takes": %d}'):format (
      told:match ('"id":"(%x+)"'), server.bars, server.takes)
    local composed = call (server, "/v1/compose", body, "application/json")
    local files = C.StringVector ()
    local number = 0
    for score in composed:gmatch ('"score":"(%x+)"') do
      number = number + 1
      local folder = os.getenv ("TMPDIR") or "/tmp"
      local target = ("%s/melody-take-%d-%s.mid"):format (folder, number, score:sub (1, 6))
      files:push_back (call (server, "/v1/scores/" .. score .. "/file/take.mid", nil, nil, target))
    end
    Editor:do_import (files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
      ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
      Temporal.timepos_t (stop), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
  end

  local fine, problem = pcall (main)
  if not fine then
    if os.getenv ("MELODY_URL") then io.stderr:write ("melody: " .. tostring (problem) .. "\n") else say (tostring (problem)) end
  end
end end
