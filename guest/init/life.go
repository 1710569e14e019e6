// Processes: started, reaped, ended.
package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type ended struct {
	pid    int
	status syscall.WaitStatus
}

type life struct {
	ended chan ended
	// agentEnded hears of the agent only, so that it is started again whatever main does.
	mu         sync.Mutex
	agentPid   int
	agentEnded chan syscall.WaitStatus
	leaving    bool
}

// reap collects every child, also those that were inherited: nobody else may wait for one.
func (l *life) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.ECHILD) {
			time.Sleep(100 * time.Millisecond) // no child yet
			continue
		}
		if err != nil {
			continue // interrupted
		}
		l.mu.Lock()
		isAgent := pid == l.agentPid
		l.mu.Unlock()
		if isAgent {
			l.agentEnded <- status
		} else {
			l.ended <- ended{pid, status}
		}
	}
}

// keep starts the agent and starts it again, at once when it ran for a while, else after a pause
// that doubles: an agent that cannot work must not fill the console.
func (l *life) keep(path string) {
	pause := time.Second
	l.agentEnded = make(chan syscall.WaitStatus, 1)
	for {
		begun := time.Now()
		// the lock is held over the start: an agent that ends at once is known by then
		l.mu.Lock()
		pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{
			Dir: "/", Env: []string{"PATH=" + usualPath, "HOME=/root"}, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
		})
		l.agentPid = pid
		l.mu.Unlock()
		if err != nil {
			say("the agent does not start: %v", err)
			return
		}
		status := <-l.agentEnded
		l.mu.Lock()
		leaving := l.leaving
		l.mu.Unlock()
		if leaving {
			return
		}
		if time.Since(begun) > 10*time.Second {
			pause = time.Second
		}
		say("the agent %s, starting it again in %v", describe(status), pause)
		time.Sleep(pause)
		if pause *= 2; pause > 30*time.Second {
			pause = 30 * time.Second
		}
	}
}

const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// startProgram starts what the image is there for, in a session of its own; 0 when that failed.
func (l *life) startProgram(wanted start) int {
	path, err := findProgram(wanted.Argv[0], wanted.Cwd, wanted.Env)
	if err == nil {
		var pid int
		pid, err = syscall.ForkExec(path, wanted.Argv, &syscall.ProcAttr{
			Dir: wanted.Cwd, Env: wanted.Env, Files: []uintptr{0, 1, 2},
			Sys: &syscall.SysProcAttr{
				Setsid:     true,
				Credential: &syscall.Credential{Uid: wanted.Uid, Gid: wanted.Gid, Groups: wanted.Groups},
			},
		})
		if err == nil {
			say("ready up=%s start=%s", uptime(), path)
			return pid
		}
	}
	say("FAILED: %s does not start: %v", wanted.Argv[0], err)
	return 0
}

// findProgram looks as a shell would: in PATH of the environment it will have, unless its name has a slash.
func findProgram(name, cwd string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if filepath.IsAbs(name) {
			return name, nil
		}
		return filepath.Join(cwd, name), nil
	}
	search := usualPath
	for _, one := range env {
		if strings.HasPrefix(one, "PATH=") {
			search = strings.TrimPrefix(one, "PATH=")
		}
	}
	for _, folder := range filepath.SplitList(search) {
		path := filepath.Join(folder, name)
		if !filepath.IsAbs(path) {
			path = filepath.Join(cwd, path)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", errors.New("it is not in PATH=" + search)
}

func uptime() string {
	text, _ := os.ReadFile("/proc/uptime")
	return strings.SplitN(string(text), " ", 2)[0]
}

// down is the one way down: the program gets its signal and some time, then all others, then a
// reset, because that is what ends a Firecracker VM (it has no power-off) and QEMU with -no-reboot.
func (l *life) down(why string, program int, stop syscall.Signal) {
	say("going down (%s)", why)
	l.mu.Lock()
	l.leaving = true
	l.mu.Unlock()
	if program != 0 {
		_ = syscall.Kill(program, stop) // it may have ended just now
		deadline := time.After(stopTime)
		for gone := false; !gone; {
			select {
			case end := <-l.ended:
				gone = end.pid == program
			case <-deadline:
				say("the program did not end within %v", stopTime)
				gone = true
			}
		}
	}
	_ = syscall.Kill(-1, syscall.SIGTERM) // nobody may be left
	time.Sleep(200 * time.Millisecond)
	_ = syscall.Kill(-1, syscall.SIGKILL)
	syscall.Sync()
	_ = syscall.Mount("", "/", "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "") // the journal has what matters
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART); err != nil {
		say("FAILED: the machine cannot be reset: %v", err)
	}
}

// loopbackUp sets IFF_UP on lo (netdevice(7)).
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(request.name[:], "lo")
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
