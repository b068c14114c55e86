package scalyr

import (
	"os"
	"runtime"
	"strings"

	"scriptbridge/config"
	"scriptbridge/internal/winargs"
	"scriptbridge/script/process"
)

// interpreter is the program that runs the monitor's host, and its options: what is
// configured, or else python3. Python for Windows has no program of that name: it comes as
// python.exe, which PATH may lack, and py.exe, which is in a folder of Windows' own.
func (o *options) interpreter(c *config.Script) []string {
	if o.Python != "" {
		return []string{o.Python}
	}
	if runtime.GOOS != "windows" {
		return []string{"python3"}
	}
	path := os.Getenv("PATH")
	for name, value := range c.Env {
		if strings.EqualFold(name, "PATH") {
			path = value.Reveal()
		}
	}
	return windowsPython(func(name string) string {
		file, err := process.ResolveProgram(name, path)
		if err != nil {
			return ""
		}
		return file
	})
}

// windowsPython is Python 3, as find finds it in PATH.
func windowsPython(find func(name string) string) []string {
	file := winargs.System{Find: find}.Python()
	switch {
	case file == "":
		return []string{"python.exe"} // whose lack is told at the start
	case strings.EqualFold(winargs.Base(file), "py.exe"):
		return []string{file, "-3"}
	}
	return []string{file}
}
