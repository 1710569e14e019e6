// The requests with one answer each. Each handler bounds its own time, and looks at the
// stream's context where it waits.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"
)

const (
	maxFileBytes   = 1 << 20
	maxConfigBytes = 1 << 20
)

type handler func(st *stream, body json.RawMessage) (any, *refusal)

var requests = map[string]handler{
	"ping":        ping,
	"facts":       func(st *stream, _ json.RawMessage) (any, *refusal) { return collectFacts(st.ctx), nil },
	"config":      kernelConfig,
	"clock.set":   clockSet,
	"reseed":      reseed,
	"poweroff":    powerOff,
	"file.read":   fileRead,
	"tcp.connect": tcpConnect,
	"icmp.ping":   icmpPing,
}

// decode refuses unknown fields: a host that asks for something newer must hear so.
func decode(body json.RawMessage, into any) *refusal {
	reader := json.NewDecoder(bytes.NewReader(body))
	reader.DisallowUnknownFields()
	if err := reader.Decode(into); err != nil {
		return refuse("bad-request", "The body does not fit: %v", err)
	}
	return nil
}

func ping(st *stream, _ json.RawMessage) (any, *refusal) {
	s := st.session
	s.mu.Lock()
	syncs := s.synced
	s.mu.Unlock()
	return map[string]any{"unixMs": time.Now().UnixMilli(), "uptimeMs": uptimeMs(), "syncs": syncs}, nil
}

func (st *stream) mayChangeMachine() *refusal {
	if st.session.agent.harmless {
		return refuse("refused", "This agent serves a test line and changes nothing on its machine.")
	}
	return nil
}

func clockSet(st *stream, body json.RawMessage) (any, *refusal) {
	var want struct {
		UnixMs int64 `json:"unixMs"`
	}
	if no := decode(body, &want); no != nil {
		return nil, no
	}
	// 2020 to 2100: anything else is a mistake of units.
	if want.UnixMs < 1_577_836_800_000 || want.UnixMs > 4_102_444_800_000 {
		return nil, refuse("bad-request", "unixMs must lie between the years 2020 and 2100.")
	}
	if no := st.mayChangeMachine(); no != nil {
		return nil, no
	}
	before := time.Now().UnixMilli()
	tv := syscall.NsecToTimeval(want.UnixMs * 1_000_000)
	if err := syscall.Settimeofday(&tv); err != nil {
		return nil, errnoRefusal("The clock cannot be set", err)
	}
	return map[string]int64{"beforeUnixMs": before, "unixMs": time.Now().UnixMilli()}, nil
}

// reseed mixes the host's bytes into the kernel's pool, and makes the generator take them at
// once: clones of one snapshot would otherwise draw the same numbers.
func reseed(st *stream, body json.RawMessage) (any, *refusal) {
	var want struct {
		Entropy string `json:"entropy"`
	}
	if no := decode(body, &want); no != nil {
		return nil, no
	}
	entropy, err := base64.StdEncoding.DecodeString(want.Entropy)
	if err != nil || len(entropy) < 16 || len(entropy) > 1024 {
		return nil, refuse("bad-request", "entropy must be base64 of 16 to 1024 bytes.")
	}
	if no := st.mayChangeMachine(); no != nil {
		return nil, no
	}
	file, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return nil, errnoRefusal("/dev/urandom", err)
	}
	defer file.Close()
	const addEntropy, reseedCrng = 0x40085203, 0x5207
	pool := make([]byte, 8+len(entropy)) // struct rand_pool_info; both architectures are little endian
	binary.LittleEndian.PutUint32(pool, uint32(8*len(entropy)))
	binary.LittleEndian.PutUint32(pool[4:], uint32(len(entropy)))
	copy(pool[8:], entropy)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), addEntropy, uintptr(unsafe.Pointer(&pool[0]))); errno != 0 {
		return nil, errnoRefusal("RNDADDENTROPY", errno)
	}
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), reseedCrng, 0)
	// Kernels before 4.14 have no such call and take the new bytes within five minutes.
	return map[string]bool{"immediate": errno == 0}, nil
}

// powerOff answers first, then acts: afterwards there may be nobody to answer.
func powerOff(st *stream, body json.RawMessage) (any, *refusal) {
	var want struct {
		Mode string `json:"mode"`
	}
	if no := decode(body, &want); no != nil {
		return nil, no
	}
	command, known := map[string]int{
		"poweroff": syscall.LINUX_REBOOT_CMD_POWER_OFF,
		"reboot":   syscall.LINUX_REBOOT_CMD_RESTART,
	}[want.Mode]
	if !known {
		return nil, refuse("bad-request", "mode must be poweroff or reboot.")
	}
	if no := st.mayChangeMachine(); no != nil {
		return nil, no
	}
	by := "reboot"
	if systemdRuns() {
		by = "systemctl"
	} else if readLine("/proc/1/comm", 64) == "linstock-init" {
		by = "init" // it ends the program of the image before it resets
	}
	// answerTime lets the reply leave the guest before its kernel stops the port.
	const answerTime = 100 * time.Millisecond
	go func() {
		time.Sleep(answerTime)
		syscall.Sync()
		if by == "systemctl" {
			// Units that do not stop are systemd's business; the host has its own deadline.
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := exec.CommandContext(ctx, "systemctl", "--no-block", want.Mode).Run(); err == nil {
				return
			} else {
				logf("systemctl %s: %v; asking the kernel", want.Mode, err)
			}
		}
		if by == "init" && syscall.Kill(1, syscall.SIGTERM) == nil {
			return
		}
		if err := syscall.Reboot(command); err != nil {
			logf("reboot: %v", err)
		}
	}()
	return map[string]string{"by": by}, nil
}

func fileRead(_ *stream, body json.RawMessage) (any, *refusal) {
	var want struct {
		Path     string `json:"path"`
		MaxBytes int64  `json:"maxBytes"`
	}
	if no := decode(body, &want); no != nil {
		return nil, no
	}
	if want.Path == "" || want.Path[0] != '/' || want.MaxBytes < 1 || want.MaxBytes > maxFileBytes {
		return nil, refuse("bad-request", "path must be absolute, maxBytes between 1 and %d.", maxFileBytes)
	}
	data, more, err := readBounded(want.Path, int(want.MaxBytes))
	if err != nil {
		return nil, errnoRefusal(want.Path, err)
	}
	return map[string]any{"base64": base64.StdEncoding.EncodeToString(data), "truncated": more}, nil
}

var errNotAFile = errors.New("not a regular file")

// readBounded reads regular files only, and never waits: /proc has regular files that block.
func readBounded(path string, limit int) (data []byte, more bool, err error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, false, err
	}
	defer syscall.Close(fd)
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return nil, false, err
	}
	if stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return nil, false, errNotAFile
	}
	// Not stat.Size: files in /proc say 0. It grows as bytes come, and stops at the limit.
	buffer := make([]byte, 32*1024)
	for {
		n, err := syscall.Read(fd, buffer)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN || (err == nil && n == 0) {
			return data, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if len(data)+n > limit {
			return append(data, buffer[:limit-len(data)]...), true, nil
		}
		data = append(data, buffer[:n]...)
	}
}

func kernelConfig(_ *stream, _ json.RawMessage) (any, *refusal) {
	packed, more, err := readBounded("/proc/config.gz", maxConfigBytes)
	if err != nil {
		return nil, errnoRefusal("/proc/config.gz", err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil || more {
		return nil, refuse("unreadable", "/proc/config.gz is not a gzip file of a sane size.")
	}
	text, err := io.ReadAll(io.LimitReader(reader, maxConfigBytes+1))
	if err != nil {
		return nil, refuse("unreadable", "/proc/config.gz: %v", err)
	}
	if len(text) > maxConfigBytes {
		return nil, refuse("too-large", "The kernel's configuration has more than %d bytes.", maxConfigBytes)
	}
	return map[string]string{"text": string(text)}, nil
}

// errnoRefusal translates a system error into a code of the protocol.
func errnoRefusal(what string, err error) *refusal {
	code := "failed"
	switch {
	case errors.Is(err, errNotAFile), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENXIO):
		code = "not-a-file"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		code = "not-found"
	case errors.Is(err, fs.ErrPermission):
		code = "not-permitted"
	}
	return refuse(code, "%s: %v", cut(what, 300), err)
}
