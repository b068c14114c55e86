package winservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	displayName = "scriptbridge"
	description = "Runs monitoring scripts and bridges them to Prometheus."
)

// recovery is after how long the service is started again when it has failed: once, twice,
// and from then on. A day without a failure, and it is once again.
func recovery() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, time.Minute}
}

const recoveryReset = 24 * time.Hour

// explain gives the errors that have a remedy.
func explain(err error) error {
	for code, told := range map[error]error{
		windows.ERROR_ACCESS_DENIED:             ErrDenied,
		windows.ERROR_SERVICE_EXISTS:            ErrInstalled,
		windows.ERROR_DUPLICATE_SERVICE_NAME:    ErrInstalled,
		windows.ERROR_SERVICE_DOES_NOT_EXIST:    ErrNotInstalled,
		windows.ERROR_SERVICE_MARKED_FOR_DELETE: ErrLeaving,
	} {
		if errors.Is(err, code) {
			return told
		}
	}
	return err
}

// Install installs the service, or nothing.
func Install(i Installation) (*Installed, error) {
	made, err := install(i)
	return made, explain(err)
}

func install(i Installation) (*Installed, error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, err
	}
	defer m.Disconnect() //nolint:errcheck // nothing depends on it
	s, err := m.CreateService(Name, i.Program, mgr.Config{
		StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal,
		DisplayName: displayName, Description: description, ServiceStartName: i.Account,
	}, i.Args...)
	if err != nil {
		return nil, err
	}
	defer s.Close() //nolint:errcheck // likewise
	made := &Installed{Command: windows.ComposeCommandLine(append([]string{i.Program}, i.Args...))}
	if made.Lacks, err = settings(s); err == nil {
		_ = eventlog.Remove(Name) // what an installation may have left behind
		err = eventlog.InstallAsEventCreate(Name, eventlog.Info|eventlog.Warning|eventlog.Error)
	}
	if err == nil && i.Storage != "" {
		made.Kept, err = makeStorage(i.Storage, i.Account)
	}
	if err != nil {
		return nil, errors.Join(err, s.Delete())
	}
	return made, nil
}

// settings sets what CreateService has no parameter for, and names what the system does
// not know, as Wine does not.
func settings(s *mgr.Service) (lacks []string, err error) {
	var actions []mgr.RecoveryAction
	for _, after := range recovery() {
		actions = append(actions, mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: after})
	}
	change := func(what uint32, value unsafe.Pointer) error {
		return windows.ChangeServiceConfig2(s.Handle, what, (*byte)(value))
	}
	for _, setting := range []struct {
		name string
		set  func() error
	}{
		{"a delayed start", func() error {
			return change(windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, unsafe.Pointer(&windows.SERVICE_DELAYED_AUTO_START_INFO{IsDelayedAutoStartUp: 1}))
		}},
		{"a restart after a failure", func() error { return s.SetRecoveryActions(actions, uint32(recoveryReset.Seconds())) }},
		{"a restart after an exit code other than 0", func() error { return s.SetRecoveryActionsOnNonCrashFailures(true) }},
		{"time to end at a shutdown", func() error {
			milliseconds := uint32(Grace.Milliseconds())
			return change(windows.SERVICE_CONFIG_PRESHUTDOWN_INFO, unsafe.Pointer(&milliseconds))
		}},
		{"a SID for the service", func() error {
			unrestricted := uint32(windows.SERVICE_SID_TYPE_UNRESTRICTED)
			return change(windows.SERVICE_CONFIG_SERVICE_SID_INFO, unsafe.Pointer(&unrestricted))
		}},
	} {
		switch err := setting.set(); {
		case errors.Is(err, windows.ERROR_INVALID_LEVEL):
			lacks = append(lacks, setting.name)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", setting.name, err)
		}
	}
	return lacks, nil
}

// makeStorage makes the storage folder for the account, administrators and the system. One
// that is there is left as it is, and named.
func makeStorage(folder, account string) (kept string, err error) {
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		return folder, nil
	}
	owner := sid(Name)
	if account != VirtualAccount {
		of := account
		if of == LocalSystem {
			of = `NT AUTHORITY\SYSTEM`
		}
		id, _, _, err := windows.LookupSID("", of)
		if err != nil {
			return "", fmt.Errorf("the account %s: %w", account, err)
		}
		owner = id.String()
	}
	// Protected from what the folder above would have it inherit: full access, within too.
	descriptor, err := windows.SecurityDescriptorFromString("O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + owner + ")")
	if err != nil {
		return "", err
	}
	if err := makeFolders(folder, &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}); err != nil {
		return "", fmt.Errorf("storage %s: %w", folder, err)
	}
	return "", nil
}

// makeFolders makes a folder and those above it that are missing.
func makeFolders(folder string, attributes *windows.SecurityAttributes) error {
	if above := filepath.Dir(folder); above != folder {
		if _, err := os.Stat(above); errors.Is(err, os.ErrNotExist) {
			if err := makeFolders(above, attributes); err != nil {
				return err
			}
		}
	}
	path, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return err
	}
	return windows.CreateDirectory(path, attributes)
}

// Remove stops the service and removes it. What it has written stays.
func Remove(ctx context.Context) (*Removed, error) {
	left, err := remove(ctx)
	return left, explain(err)
}

func remove(ctx context.Context) (*Removed, error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, err
	}
	defer m.Disconnect() //nolint:errcheck // nothing depends on it
	s, err := m.OpenService(Name)
	if err != nil {
		return nil, err
	}
	defer s.Close() //nolint:errcheck // likewise
	command, err := commandLine(s)
	if err != nil {
		return nil, err
	}
	args, err := windows.DecomposeCommandLine(command)
	if err != nil {
		return nil, err
	}
	if err := stop(ctx, s); err != nil {
		return nil, err
	}
	if err := s.Delete(); err != nil {
		return nil, err
	}
	if err := eventlog.Remove(Name); err != nil && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return nil, err
	}
	return &Removed{Args: args[1:]}, nil
}

// stop stops the service and waits for its end.
func stop(ctx context.Context, s *mgr.Service) error {
	late := time.After(Grace + progressHint)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		status, err := s.Query()
		if err != nil || status.State == svc.Stopped {
			return err
		}
		if status.State == svc.Running || status.State == svc.Paused {
			if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) && !errors.Is(err, windows.ERROR_SERVICE_CANNOT_ACCEPT_CTRL) {
				return err
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("the service %s does not stop (its process has the id %d: end it in the Task Manager, and try again)", Name, status.ProcessId)
		}
	}
}

// commandLine gives that of a service. (mgr's Config asks for more than Wine knows.)
func commandLine(s *mgr.Service) (string, error) {
	size := uint32(1024)
	for {
		buffer := make([]byte, size)
		config := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buffer[0]))
		err := windows.QueryServiceConfig(s.Handle, config, size, &size)
		switch {
		case err == nil:
			return windows.UTF16PtrToString(config.BinaryPathName), nil
		case !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || size <= uint32(len(buffer)):
			return "", err
		}
	}
}
