package takeover

import (
	"path"
	"slices"
	"strings"

	"scriptbridge/config"
	"scriptbridge/script/dialect/scalyr/relaxedjson"
)

// findScalyr has the monitors of the agent's own configuration run, which the
// dialect reads itself.
func findScalyr(f *finding) {
	for _, file := range f.knownFiles("/etc/scalyr-agent-2/agent.json", "/Program Files (x86)/Scalyr/config/agent.json") {
		s := &scalyrAgent{finding: f}
		main, ok := s.file(file)
		if !ok {
			continue
		}
		folder, _ := main["config_directory"].(string)
		if folder == "" {
			folder = "agent.d"
		}
		if !path.IsAbs(folder) {
			folder = path.Join(path.Dir(file), folder)
		}
		for _, part := range f.Host.Files(folder, "*.json") {
			s.file(part)
		}
		s.takeOver(file)
	}
}

// scalyrAgent is what the files of an agent have.
type scalyrAgent struct {
	*finding
	modules []string
	logs    int
}

func (s *scalyrAgent) file(file string) (object map[string]any, ok bool) {
	text, ok := s.read(file)
	if !ok {
		return nil, false
	}
	v, err := relaxedjson.Parse([]byte(text))
	if err != nil {
		s.skip(config.Position{File: file}, "cannot be read as the agent reads it: %v", err)
		return nil, false
	}
	object, _ = v.(map[string]any)
	monitors, _ := object["monitors"].([]any)
	for _, m := range monitors {
		of, _ := m.(map[string]any)
		if module, ok := of["module"].(string); ok {
			s.modules = append(s.modules, module)
		}
	}
	for _, key := range []string{"logs", "journald_logs", "k8s_logs"} {
		if logs, ok := object[key].([]any); ok && len(logs) > 0 {
			s.logs += len(logs)
			s.skip(config.Position{File: file, Line: lineOf(text, key)}, "%s: copying of logs; metrics alone are taken over", key)
		}
	}
	for _, key := range []string{"api_key", "api_keys", "scalyr_server"} {
		if _, ok := object[key]; ok {
			s.skip(config.Position{File: file, Line: lineOf(text, key)}, "%s: nothing is sent to Scalyr, and nothing of it is copied", key)
		}
	}
	return object, true
}

// takeOver names the agent's configuration, whose monitors then run.
func (s *scalyrAgent) takeOver(file string) {
	if len(s.modules) == 0 {
		s.skip(config.Position{File: file}, "it names no monitors; those that the agent adds by itself measure what node_exporter does")
		return
	}
	e := s.add(discover, config.Position{File: file})
	e.what = file
	for _, module := range s.modules {
		e.finds = append(e.finds, module[strings.LastIndexByte(module, '.')+1:])
	}
	e.setText("dialect", "scalyr").setText("agent_config", s.Host.Native(file))
	e.note("Runs %s, each in a Python process. check starts each of them, without a sample.", strings.Join(s.modules, ", "))
	if !slices.ContainsFunc(s.modules, func(module string) bool { return isOf(module, ofAgentPackage) }) {
		return
	}
	folder := s.agentPackage()
	if folder == "" {
		e.note("Some of them need the agent's own package: options: {agent_package: FOLDER}.")
		return
	}
	e.note("Some of them need the agent's own package.")
	e.set("options", mapOf("agent_package", config.TextValue(folder)))
}

// ofAgentPackage are monitors of Scalyr's agent that run only with its own package.
var ofAgentPackage = []string{"linux_system_metrics", "docker_monitor", "kubernetes_monitor", "kubernetes_events_monitor", "syslog_monitor", "windows_event_log_monitor"}

// isOf reports whether a module is one of some, by its last name.
func isOf(module string, names []string) bool {
	return slices.Contains(names, module[strings.LastIndexByte(module, '.')+1:])
}

// agentPackage is where the agent's own package is installed.
func (f *finding) agentPackage() string {
	for _, folder := range []string{"/usr/share/scalyr-agent-2/py", "/opt/scalyr-agent-2/py"} {
		if f.Host.Exists(path.Join(folder, "scalyr_agent")) {
			return folder
		}
	}
	return ""
}
