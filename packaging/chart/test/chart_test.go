// Package chart_test lints the Helm chart, renders it for the values files in ../ci,
// and reads what comes out strictly as Kubernetes and the Prometheus operator would.
package chart_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// kinds are what the chart may make.
var kinds = map[string]func() any{
	"ConfigMap":      func() any { return new(core.ConfigMap) },
	"ServiceAccount": func() any { return new(core.ServiceAccount) },
	"Service":        func() any { return new(core.Service) },
	"DaemonSet":      func() any { return new(apps.DaemonSet) },
	"Deployment":     func() any { return new(apps.Deployment) },
	"PodMonitor":     func() any { return new(monitoring.PodMonitor) },
}

func valuesFiles(t *testing.T) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{"defaults": {}}
	files, err := filepath.Glob("../ci/*-values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no values files: %v", err)
	}
	for _, f := range files {
		values, err := chartutil.ReadValuesFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = values
	}
	return all
}

func TestLint(t *testing.T) {
	for name, values := range valuesFiles(t) {
		for _, m := range lint.AllWithKubeVersion("..", values, "monitoring", nil).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, m)
			}
		}
	}
}

// render gives the objects of the chart by kind and name.
func render(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	chart, err := loader.Load("..")
	if err != nil {
		t.Fatal(err)
	}
	release := chartutil.ReleaseOptions{Name: "node", Namespace: "monitoring", IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	objects := make(map[string]any)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(file, ".txt") {
			continue
		}
		for _, text := range strings.Split(files[file], "\n---\n") {
			if strings.TrimSpace(text) == "" {
				continue
			}
			var meta struct {
				Kind     string
				Metadata struct{ Name string }
			}
			if err := yaml.Unmarshal([]byte(text), &meta); err != nil {
				t.Fatalf("%s: %v\n%s", file, err, text)
			}
			make := kinds[meta.Kind]
			if make == nil {
				t.Fatalf("%s: kind %q", file, meta.Kind)
			}
			object := make()
			if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
			objects[meta.Kind+"/"+meta.Metadata.Name] = object
		}
	}
	return objects
}

// TestRender also writes each configuration to the folder that RENDERED names, for
// `scriptbridge check`.
func TestRender(t *testing.T) {
	want := map[string][]string{
		"defaults":              {"ConfigMap/node-scriptbridge", "ConfigMap/node-scriptbridge-scripts", "DaemonSet/node-scriptbridge", "ServiceAccount/node-scriptbridge"},
		"scripts-values.yaml":   {"ConfigMap/node-scriptbridge", "ConfigMap/node-scriptbridge-scripts", "DaemonSet/node-scriptbridge", "PodMonitor/node-scriptbridge", "ServiceAccount/node-scriptbridge"},
		"receivers-values.yaml": {"ConfigMap/node-scriptbridge", "ConfigMap/node-scriptbridge-scripts", "DaemonSet/node-scriptbridge", "Service/node-scriptbridge", "ServiceAccount/node-scriptbridge"},
		"single-values.yaml":    {"ConfigMap/node-scriptbridge", "ConfigMap/node-scriptbridge-scripts", "Deployment/node-scriptbridge"},
	}
	for name, values := range valuesFiles(t) {
		objects := render(t, values)
		if got := slices.Sorted(maps.Keys(objects)); !slices.Equal(got, want[name]) {
			t.Errorf("%s: got %q, want %q", name, got, want[name])
		}
		if dir := os.Getenv("RENDERED"); dir != "" {
			config := objects["ConfigMap/node-scriptbridge"].(*core.ConfigMap).Data["scriptbridge.yml"]
			if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(name, ".yaml")+".yml"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// pod is the template of the workload.
func pod(objects map[string]any) *core.PodSpec {
	for _, o := range objects {
		switch o := o.(type) {
		case *apps.DaemonSet:
			return &o.Spec.Template.Spec
		case *apps.Deployment:
			return &o.Spec.Template.Spec
		}
	}
	return nil
}

// TestWired: what the pod mounts and serves is there, and is what the others name.
func TestWired(t *testing.T) {
	for name, values := range valuesFiles(t) {
		objects := render(t, values)
		spec := pod(objects)
		volumes := make(map[string]bool)
		for _, v := range spec.Volumes {
			volumes[v.Name] = true
			if m := v.ConfigMap; m != nil && objects["ConfigMap/"+m.Name] == nil {
				t.Errorf("%s: there is no ConfigMap %s", name, m.Name)
			}
		}
		ports := make(map[string]string)
		for _, c := range spec.Containers {
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s: there is no volume %s", name, m.Name)
				}
			}
			for _, p := range c.Ports {
				ports[p.Name] = fmt.Sprint(p.ContainerPort, p.Protocol)
			}
			for _, p := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe} {
				if ports[p.HTTPGet.Port.StrVal] == "" {
					t.Errorf("%s: a probe asks port %s", name, p.HTTPGet.Port.StrVal)
				}
			}
		}
		if s, ok := objects["Service/node-scriptbridge"].(*core.Service); ok {
			for _, p := range s.Spec.Ports {
				if ports[p.TargetPort.StrVal] != fmt.Sprint(p.Port, p.Protocol) {
					t.Errorf("%s: the service's port %s is %q of the pod", name, p.Name, ports[p.TargetPort.StrVal])
				}
			}
		}
		if m, ok := objects["PodMonitor/node-scriptbridge"].(*monitoring.PodMonitor); ok {
			for _, e := range m.Spec.PodMetricsEndpoints {
				if ports[*e.Port] == "" {
					t.Errorf("%s: the monitor's port %s", name, *e.Port)
				}
			}
		}
	}
}

// TestBadKind: what cannot be is an error that says what can.
func TestBadKind(t *testing.T) {
	chart, err := loader.Load("..")
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ToRenderValues(chart, map[string]any{"kind": "Job"}, chartutil.ReleaseOptions{Name: "x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine.Render(chart, values)
	if err == nil || !strings.Contains(err.Error(), "kind: Job is not known: write DaemonSet or Deployment") {
		t.Errorf("%v", err)
	}
}
