// exec: a process in a session of its own, its three pipes, and credits.
//
// Invariants: the leader stays a zombie until its output is drained, so its number,
// which is the number of its group, cannot be given to a stranger before the last
// kill. Each process is reaped exactly once. When the stream's context ends, the
// group is killed and every goroutine here comes back.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	// chunkBytes is the largest piece of output in one frame; small enough that two
	// streams share the line fairly.
	chunkBytes = 32 * 1024
	// lingerTime is how long an ended process's open pipe may stay silent. A daemon it
	// left behind may hold the pipe for ever.
	lingerTime  = 250 * time.Millisecond
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// maxTimeout is a day: longer means a forgotten unit.
	maxTimeout = 24 * time.Hour
)

type execRequest struct {
	Argv      []string          `json:"argv"`
	Env       map[string]string `json:"env"`
	Cwd       string            `json:"cwd"`
	User      *uint32           `json:"user"`
	TimeoutMs int64             `json:"timeoutMs"`
	Tty       bool              `json:"tty"`
}

// execEnd is the body of an exit frame.
type execEnd struct {
	Code     *int    `json:"code"`
	Signal   *string `json:"signal"`
	Ms       int64   `json:"ms"`
	TimedOut bool    `json:"timedOut"`
}

type process struct {
	pid      int
	stream   *stream
	stdin    *inbox
	stdout   *outlet
	stderr   *outlet
	exited   atomic.Bool
	timedOut atomic.Bool

	mu     sync.Mutex
	reaped bool
}

func (st *stream) exec(body json.RawMessage) {
	var want execRequest
	if no := decode(body, &want); no != nil {
		st.reply(nil, no)
		return
	}
	p, no := st.start(want)
	if no != nil {
		st.reply(nil, no)
		return
	}
	defer p.reap() // also when something below panics
	started := time.Now()
	st.mu.Lock()
	st.process = p
	st.mu.Unlock()
	done := make(chan struct{})
	defer close(done)
	go p.killWhenDropped(done)
	st.reply(map[string]int{"pid": p.pid}, nil)
	if want.TimeoutMs > 0 {
		timer := time.AfterFunc(time.Duration(want.TimeoutMs)*time.Millisecond, func() {
			p.timedOut.Store(true)
			p.signal(syscall.SIGKILL)
		})
		defer timer.Stop()
	}
	var copying sync.WaitGroup
	copying.Add(3)
	go func() { defer copying.Done(); p.stdin.pump() }()
	go func() { defer copying.Done(); p.stdout.pump() }()
	go func() { defer copying.Done(); p.stderr.pump() }()
	waitExited(p.pid)
	end := execEnd{Ms: time.Since(started).Milliseconds()}
	p.exited.Store(true)
	p.stdin.abandon()
	p.stdout.hurry()
	p.stderr.hurry()
	copying.Wait()
	status := p.reap()
	end.TimedOut = p.timedOut.Load()
	if status.Signaled() {
		name := signalName(status.Signal())
		end.Signal = &name
	} else {
		code := status.ExitStatus()
		end.Code = &code
	}
	st.sendJSON(kindExit, end)
}

func (st *stream) start(want execRequest) (*process, *refusal) {
	if len(want.Argv) == 0 || want.Argv[0] == "" {
		return nil, refuse("bad-request", "argv needs at least a program.")
	}
	if want.Tty {
		return nil, refuse("unsupported", "This agent has no terminals; ask with tty false.")
	}
	if want.TimeoutMs < 0 || want.TimeoutMs > maxTimeout.Milliseconds() {
		return nil, refuse("bad-request", "timeoutMs must be between 0 (none) and %d.", maxTimeout.Milliseconds())
	}
	for _, text := range want.Argv {
		if strings.IndexByte(text, 0) >= 0 {
			return nil, refuse("bad-request", "argv may not hold zero bytes.")
		}
	}
	cwd := want.Cwd
	if cwd == "" {
		cwd = "/"
	}
	if info, err := os.Stat(cwd); err != nil || !info.IsDir() {
		return nil, refuse("no-such-directory", "%s is not a directory in the guest.", cut(cwd, 200))
	}
	home := "/root"
	sys := &syscall.SysProcAttr{Setsid: true}
	if want.User != nil {
		who := strconv.FormatUint(uint64(*want.User), 10)
		sys.Credential = &syscall.Credential{Uid: *want.User, Gid: *want.User, NoSetGroups: os.Geteuid() != 0}
		home = "/"
		// A uid without an entry in /etc/passwd is allowed, with a group of the same number.
		if known, err := user.LookupId(who); err == nil {
			if gid, err := strconv.ParseUint(known.Gid, 10, 32); err == nil {
				sys.Credential.Gid = uint32(gid)
			}
			home = known.HomeDir
		}
	}
	env := map[string]string{"PATH": defaultPath, "HOME": home}
	for name, value := range want.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(value, 0) >= 0 {
			return nil, refuse("bad-request", "env has a bad name or value.")
		}
		env[name] = value
	}
	pairs := make([]string, 0, len(env))
	for name, value := range env {
		pairs = append(pairs, name+"="+value)
	}
	program, no := findProgram(want.Argv[0], env["PATH"], cwd)
	if no != nil {
		return nil, no
	}
	return st.spawn(program, want.Argv, &syscall.ProcAttr{Dir: cwd, Env: pairs, Sys: sys})
}

// spawn makes the pipes and the process, or neither.
func (st *stream) spawn(program string, argv []string, attr *syscall.ProcAttr) (*process, *refusal) {
	var ends [6]*os.File // in: read, write; out: read, write; err: read, write
	closeAll := func(files ...*os.File) {
		for _, file := range files {
			if file != nil {
				file.Close()
			}
		}
	}
	for i := 0; i < len(ends); i += 2 {
		var err error
		if ends[i], ends[i+1], err = os.Pipe(); err != nil {
			closeAll(ends[:]...)
			return nil, refuse("no-resources", "No pipe: %v", err)
		}
	}
	// Fd() makes the child's ends blocking, which is what a program expects.
	attr.Files = []uintptr{ends[0].Fd(), ends[3].Fd(), ends[5].Fd()}
	pid, _, err := syscall.StartProcess(program, argv, attr)
	closeAll(ends[0], ends[3], ends[5])
	if err != nil {
		closeAll(ends[1], ends[2], ends[4])
		return nil, startRefusal(program, err)
	}
	p := &process{pid: pid, stream: st}
	p.stdin = newInbox(st, ends[1])
	p.stdout = newOutlet(p, kindStdout, ends[2])
	p.stderr = newOutlet(p, kindStderr, ends[4])
	return p, nil
}

func startRefusal(program string, err error) *refusal {
	switch {
	case errors.Is(err, syscall.ENOENT): // the file is there, so its interpreter is not
		return refuse("not-found", "%s or its interpreter does not exist in the guest.", program)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOEXEC):
		return refuse("not-executable", "%s cannot be run: %v", program, err)
	case errors.Is(err, syscall.EPERM):
		return refuse("not-permitted", "%s cannot be run as that user: %v", program, err)
	case errors.Is(err, syscall.E2BIG):
		return refuse("bad-request", "argv and env are too long for the guest's kernel.")
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM):
		return refuse("no-resources", "The guest cannot start a process now: %v", err)
	}
	return refuse("start-failed", "%s: %v", program, err)
}

// findProgram looks in the PATH the process will have, not in the agent's own.
func findProgram(name, path, cwd string) (string, *refusal) {
	candidates := []string{}
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(cwd, name)
		}
		candidates = append(candidates, name)
	} else {
		for _, folder := range filepath.SplitList(path) {
			if filepath.IsAbs(folder) {
				candidates = append(candidates, filepath.Join(folder, name))
			}
		}
	}
	exists := false
	for _, file := range candidates {
		info, err := os.Stat(file)
		if err != nil || info.IsDir() {
			continue
		}
		exists = true
		if info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	if exists {
		return "", refuse("not-executable", "%s is not executable.", cut(name, 200))
	}
	return "", refuse("not-found", "%s does not exist in the guest.", cut(name, 200))
}

// killWhenDropped waits for the stream's context; done ends the wait.
func (p *process) killWhenDropped(done chan struct{}) {
	select {
	case <-p.stream.ctx.Done():
		p.signal(syscall.SIGKILL)
		p.stdin.abandon()
		p.stdout.abandon()
		p.stderr.abandon()
	case <-done:
	}
}

// signal goes to the whole group; the leader is not reaped yet, so the group is ours.
func (p *process) signal(number syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		// ESRCH cannot be, EPERM means a setuid child: nothing better to do in either.
		syscall.Kill(-p.pid, number)
	}
}

func (p *process) reap() (status syscall.WaitStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return status
	}
	p.reaped = true
	for {
		if _, err := syscall.Wait4(p.pid, &status, 0, nil); err != syscall.EINTR {
			return status
		}
	}
}

func (p *process) credit(payload []byte) (why string) {
	if len(payload) != 8 {
		return "credit that is not 8 bytes"
	}
	bytes := binary.BigEndian.Uint32(payload[4:])
	switch binary.BigEndian.Uint32(payload) {
	case uint32(kindStdout):
		return p.stdout.grant(bytes)
	case uint32(kindStderr):
		return p.stderr.grant(bytes)
	}
	return "credit for neither stdout nor stderr"
}

func (p *process) onSignal(payload []byte) (why string) {
	var body struct {
		Signal string `json:"signal"`
	}
	if err := json.Unmarshal(payload, &body); err != nil {
		return "signal that is not JSON"
	}
	number, known := signalNumbers[body.Signal]
	if !known {
		return "unknown signal"
	}
	p.signal(number)
	return ""
}

// waitExited waits until the process has ended, and leaves it a zombie.
func waitExited(pid int) {
	const pPid, wExited, wNoWait = 1, 4, 0x1000000
	var info [128]byte // siginfo_t, larger than needed on every architecture
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPid, uintptr(pid),
			uintptr(unsafe.Pointer(&info[0])), wExited|wNoWait, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

var signalNumbers = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "ILL": syscall.SIGILL,
	"TRAP": syscall.SIGTRAP, "ABRT": syscall.SIGABRT, "BUS": syscall.SIGBUS, "FPE": syscall.SIGFPE,
	"KILL": syscall.SIGKILL, "USR1": syscall.SIGUSR1, "SEGV": syscall.SIGSEGV, "USR2": syscall.SIGUSR2,
	"PIPE": syscall.SIGPIPE, "ALRM": syscall.SIGALRM, "TERM": syscall.SIGTERM, "STKFLT": syscall.SIGSTKFLT,
	"CONT": syscall.SIGCONT, "STOP": syscall.SIGSTOP, "TSTP": syscall.SIGTSTP, "TTIN": syscall.SIGTTIN,
	"TTOU": syscall.SIGTTOU, "XCPU": syscall.SIGXCPU, "XFSZ": syscall.SIGXFSZ, "WINCH": syscall.SIGWINCH,
	"SYS": syscall.SIGSYS,
}

func signalName(number syscall.Signal) string {
	for name, value := range signalNumbers {
		if value == number {
			return name
		}
	}
	return strconv.Itoa(int(number))
}
