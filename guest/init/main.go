// linstock-init is PID 1 of a VM that was made from a container image: such an image has a
// program to start and no init. It mounts what a program expects, keeps the guest agent running,
// starts the program as the image says (/linstock/start.json), reaps, and goes down in order.
//
// What it says on the console begins with "linstock-init:", as the init of the image tiny; it is
// ready once the program was started, and FAILED when the program could not be started or ended
// with anything but 0. A program that ends is not started again, and the VM stays: whoever wants
// to know why can look into it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	agentPath = "/linstock/agent"
	startPath = "/linstock/start.json"
	// stopTime is what the program gets between its stop signal and the end of everything:
	// the host waits 20 s for a guest to go down.
	stopTime = 10 * time.Second
)

// start is what packages/host/images/oci/start.ts writes.
type start struct {
	Argv       []string `json:"argv"`
	Env        []string `json:"env"`
	Cwd        string   `json:"cwd"`
	Uid        uint32   `json:"uid"`
	Gid        uint32   `json:"gid"`
	Groups     []uint32 `json:"groups"`
	StopSignal int      `json:"stopSignal"`
}

func say(format string, args ...any) {
	fmt.Printf("linstock-init: "+format+"\n", args...)
}

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPWR)
	mountAll()
	// stdin, stdout and stderr of PID 1 are the console; the kernel opens none where /dev was empty
	if _, err := os.Stdout.Stat(); err != nil {
		openConsole()
	}
	if err := loopbackUp(); err != nil {
		say("the loopback interface stays down: %v", err)
	}
	setHostname()
	wanted, err := readStart(startPath)
	if err != nil {
		say("FAILED: %v", err)
	}
	life := &life{ended: make(chan ended, 64)}
	go life.reap()
	if _, err := os.Stat(agentPath); err == nil {
		go life.keep(agentPath)
	}
	program := 0
	if err == nil {
		program = life.startProgram(wanted)
	}
	for {
		select {
		case what := <-signals:
			life.down(fmt.Sprint(what), program, syscall.Signal(wanted.StopSignal))
		case end := <-life.ended:
			if end.pid != program || program == 0 {
				continue
			}
			program = 0
			if end.status.Exited() && end.status.ExitStatus() == 0 {
				say("the program ended with 0; nothing else is started, and the VM stays")
			} else {
				say("FAILED: the program %s; the VM stays", describe(end.status))
			}
		}
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("was ended by signal %d", status.Signal())
	}
	return fmt.Sprintf("ended with %d", status.ExitStatus())
}

func readStart(path string) (start, error) {
	wanted := start{StopSignal: int(syscall.SIGTERM)}
	text, err := os.ReadFile(path)
	if err != nil {
		return wanted, err
	}
	if err := json.Unmarshal(text, &wanted); err != nil {
		return wanted, fmt.Errorf("%s: %w", path, err)
	}
	if len(wanted.Argv) == 0 {
		return wanted, fmt.Errorf("%s names no program", path)
	}
	return wanted, nil
}

// mounts in their order. What is there already (our initrd hands /proc, /sys and /dev over) stays.
var mounts = []struct {
	source, target, kind string
	flags                uintptr
	data                 string
}{
	{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
	{"sysfs", "/sys", "sysfs", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
	{"dev", "/dev", "devtmpfs", syscall.MS_NOSUID, "mode=755"},
	{"devpts", "/dev/pts", "devpts", syscall.MS_NOSUID | syscall.MS_NOEXEC, "mode=620,gid=5,ptmxmode=666"},
	{"tmpfs", "/dev/shm", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=1777"},
	{"tmpfs", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=755"},
	{"cgroup2", "/sys/fs/cgroup", "cgroup2", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
}

func mountAll() {
	for _, one := range mounts {
		if isMountPoint(one.target) {
			continue
		}
		_ = os.MkdirAll(one.target, 0o755) // the mount says what is wrong
		if err := syscall.Mount(one.source, one.target, one.kind, one.flags, one.data); err != nil {
			say("%s is not mounted: %v", one.target, err)
		}
	}
	// programs expect these names, which devtmpfs does not have
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		_ = os.Symlink(target, filepath.Join("/dev", name)) // it may be there
	}
}

// isMountPoint: a folder on another device than the one it is in.
func isMountPoint(path string) bool {
	var here, above syscall.Stat_t
	if syscall.Stat(path, &here) != nil || syscall.Stat(filepath.Dir(path), &above) != nil {
		return false
	}
	return here.Dev != above.Dev
}

func openConsole() {
	fd, err := syscall.Open("/dev/console", syscall.O_RDWR, 0)
	if err != nil {
		return
	}
	for target := 0; target <= 2; target++ {
		if fd != target {
			_ = syscall.Dup3(fd, target, 0) // there is nowhere to say that it failed
		}
	}
}

// setHostname: the initrd has done it when ip= named one.
func setHostname() {
	now, _ := os.ReadFile("/proc/sys/kernel/hostname")
	name, err := os.ReadFile("/etc/hostname")
	if wanted := strings.TrimSpace(string(name)); err == nil && wanted != "" && strings.TrimSpace(string(now)) == "(none)" {
		_ = syscall.Sethostname([]byte(wanted)) // a guest without a name works, too
	}
}
