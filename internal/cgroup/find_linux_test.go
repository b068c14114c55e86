package cgroup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlaces(t *testing.T) {
	const v1 = "9:name=systemd:/\n4:memory:/x\n"
	mount := func(root, folder string) string {
		return "30 24 0:26 / /sys rw - sysfs sysfs rw\n31 30 0:27 " + root + " " + folder + " rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
	}
	for _, test := range []struct {
		name, groups, mounts string
		want                 []location
		err                  string
	}{
		{"systemd", "0::/system.slice/scriptbridge.service\n", mount("/", "/sys/fs/cgroup"),
			[]location{{"/sys/fs/cgroup/system.slice/scriptbridge.service", "/system.slice/scriptbridge.service"}}, ""},
		{"beside version 1", v1 + "0::/\n", mount("/", "/sys/fs/cgroup/unified"), []location{{"/sys/fs/cgroup/unified", "/"}}, ""},
		{"a container that sees the host's names", "0::/docker/ab\n", mount("/docker/ab", "/sys/fs/cgroup"), []location{{"/sys/fs/cgroup", "/docker/ab"}}, ""},
		{"below what is mounted", "0::/docker/ab/c\n", mount("/docker/ab", "/sys/fs/cgroup"), []location{{"/sys/fs/cgroup/c", "/docker/ab/c"}}, ""},
		{"mounted twice", "0::/a\n", mount("/", "/one") + mount("/a", "/two"), []location{{"/one/a", "/a"}, {"/two", "/a"}}, ""},
		{"a folder with a blank", "0::/a b\n", mount("/", `/sys/fs/c\040d`), []location{{"/sys/fs/c d/a b", "/a b"}}, ""},
		{"elsewhere", "0::/docker/ab\n", mount("/docker/abc", "/sys/fs/cgroup"), nil, "cgroups of version 2 are not mounted"},
		{"not mounted", "0::/\n", "30 24 0:26 / /sys rw - sysfs sysfs rw\n", nil, "cgroups of version 2 are not mounted"},
		{"version 1 alone", v1, mount("/", "/sys/fs/cgroup"), nil, "this system has no cgroups of version 2"},
		{"outside of the namespace", "0::/../x\n", mount("/", "/sys/fs/cgroup"), nil, "this process is in a cgroup outside of its namespace"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := locations(test.groups, test.mounts)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(location{})); diff != "" {
				t.Errorf("locations (-want +got):\n%s", diff)
			}
			if err == nil && test.err != "" || err != nil && err.Error() != test.err {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}
