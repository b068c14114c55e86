package fsx

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// TestOwnerAlone has what is made for its owner alone be so, with what is in it, and
// nothing be inherited from the folder above.
func TestOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "alone")
	must(t, OS{}.Mkdir(dir, 0o700))
	alone, err := ownerAlone(true)
	must(t, err)
	want := "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	administrators, err := windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	must(t, err)
	if member, err := windows.Token(0).IsMember(administrators); err != nil || !member {
		user, err := windows.GetCurrentProcessToken().GetTokenUser()
		must(t, err)
		want += "(A;OICI;FA;;;" + user.User.Sid.String() + ")"
	}
	if got := alone.SecurityDescriptor.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	f, err := OS{}.OpenFile(filepath.Join(dir, "f"), os.O_WRONLY|os.O_CREATE, 0o600)
	must(t, err)
	must(t, f.Close())
	for _, path := range []string{dir, filepath.Join(dir, "f")} {
		sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
		must(t, err)
		if list := sd.String(); strings.Contains(list, ";WD)") || strings.Contains(list, ";BU)") || strings.Contains(list, ";AU)") {
			t.Errorf("%s: %s", path, list)
		}
	}
}

// An account that is no administrator may read what it has made, also where its rights make it
// count as elevated, as those of a service do.
func TestOwnerAloneOfService(t *testing.T) {
	runtime.LockOSThread() // which is never unlocked: what it may do goes with it
	administrators, err := windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	if err != nil {
		t.Fatal(err)
	}
	var own, filtered windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_ALL_ACCESS, &own); err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	no := windows.SIDAndAttributes{Sid: administrators}
	advapi32 := windows.NewLazySystemDLL("advapi32.dll")
	if ok, _, err := advapi32.NewProc("CreateRestrictedToken").Call(uintptr(own), 0, 1, uintptr(unsafe.Pointer(&no)), 0, 0, 0, 0, uintptr(unsafe.Pointer(&filtered))); ok == 0 {
		t.Skipf("no token without administrators can be made: %v", err)
	}
	defer filtered.Close()
	if ok, _, err := advapi32.NewProc("ImpersonateLoggedOnUser").Call(uintptr(filtered)); ok == 0 {
		t.Skipf("it cannot be used: %v", err)
	}
	if member, err := windows.Token(0).IsMember(administrators); err != nil || member {
		t.Skipf("it is that of an administrator all the same: %v", err)
	}
	security, err := ownerAlone(true)
	if err != nil {
		t.Fatal(err)
	}
	user, err := own.GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	if list := security.SecurityDescriptor.String(); !strings.Contains(list, "(A;OICI;FA;;;"+user.User.Sid.String()+")") {
		t.Errorf("%s has nothing for %s (elevated: %v)", list, user.User.Sid, own.IsElevated())
	}
}
