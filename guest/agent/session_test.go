package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// host is the other end of a session: a real decoder over a real pipe.
type host struct {
	t      *testing.T
	line   net.Conn
	frames chan frame
	next   uint32
}

// newHost starts an agent; sync is left to the test.
func newHost(t *testing.T) *host {
	agentEnd, hostEnd := net.Pipe()
	s := newSession(agentEnd, &agent{transport: "test", harmless: true})
	ended := make(chan struct{})
	go func() { defer close(ended); s.run() }()
	h := &host{t: t, line: hostEnd, frames: make(chan frame, 4096)}
	go func() {
		defer close(h.frames)
		d := newDecoder()
		buffer := make([]byte, 65536)
		for {
			n, err := hostEnd.Read(buffer)
			d.feed(buffer[:n], func(f frame) {
				f.payload = append([]byte{}, f.payload...)
				h.frames <- f
			}, func(why string) { t.Errorf("the agent sent damage: %s", why) })
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { hostEnd.Close(); agentEnd.Close(); <-ended })
	return h
}

func (h *host) raw(data []byte) {
	if _, err := h.line.Write(data); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) send(kind byte, stream uint32, payload string) {
	h.raw(appendFrame(nil, kind, 0, stream, []byte(payload)))
}

func (h *host) sync(nonce string) *host {
	h.send(kindSync, 0, nonce)
	for f := range h.frames {
		if f.kind == kindSyncAck && string(f.payload[:16]) == nonce {
			return h
		}
	}
	h.t.Fatal("no sync-ack")
	return h
}

func (h *host) ask(name, body string) uint32 {
	h.next++
	h.send(kindRequest, h.next, fmt.Sprintf(`{"name":%q,"body":%s}`, name, body))
	return h.next
}

func (h *host) grant(stream uint32, kind byte, bytes int) {
	var body [8]byte
	binary.BigEndian.PutUint32(body[:], uint32(kind))
	binary.BigEndian.PutUint32(body[4:], uint32(bytes))
	h.send(kindCredit, stream, string(body[:]))
}

// reply waits for the whole reply of a stream.
func (h *host) reply(stream uint32) (all string) {
	for f := range h.frames {
		if f.stream == stream && f.kind == kindReply {
			if all += string(f.payload); f.flags == 0 {
				return all
			}
		}
	}
	h.t.Fatal("no reply")
	return ""
}

type ran struct {
	stdout, stderr int
	text           string
	end            execEnd
}

// finish takes everything up to the exit, and gives credit as it comes.
func (h *host) finish(stream uint32) (r ran) {
	for f := range h.frames {
		if f.stream != stream {
			continue
		}
		switch f.kind {
		case kindReply:
			if strings.Contains(string(f.payload), "error") {
				h.t.Fatalf("refused: %s", f.payload)
			}
		case kindStdout:
			r.stdout += len(f.payload)
			if len(r.text) < 4096 {
				r.text += string(f.payload)
			}
			h.grant(stream, kindStdout, len(f.payload))
		case kindStderr:
			r.stderr += len(f.payload)
			h.grant(stream, kindStderr, len(f.payload))
		case kindExit:
			if err := json.Unmarshal(f.payload, &r.end); err != nil {
				h.t.Fatal(err)
			}
			return r
		}
	}
	h.t.Fatal("no exit")
	return r
}

const nonceA, nonceB = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"

// noChildren waits for the last of this and of earlier tests; a zombie that is never reaped
// runs into go test's time limit.
func noChildren(t *testing.T) {
	t.Helper()
	until(t, func() bool {
		tasks, _ := filepath.Glob("/proc/self/task/*/children")
		for _, file := range tasks {
			if text, _ := os.ReadFile(file); len(bytes.TrimSpace(text)) > 0 {
				return false
			}
		}
		return true
	})
}

func TestNothingIsAnsweredBeforeSync(t *testing.T) {
	h := newHost(t)
	h.ask("ping", "{}")
	h.sync(nonceA)
	if h.reply(h.ask("ping", "{}")); h.next != 2 {
		t.Fatal("the request before the sync was answered")
	}
}

func TestSyncInMidFrameKillsWhatTheEarlierHostLeft(t *testing.T) {
	h := newHost(t).sync(nonceA)
	marker := filepath.Join(t.TempDir(), "alive")
	id := h.ask("exec", fmt.Sprintf(`{"argv":["sh","-c","echo $$; trap '' TERM HUP; sleep 1000 & wait; touch %s"]}`, marker))
	var pid string
	for f := range h.frames {
		if f.stream == id && f.kind == kindStdout {
			pid = strings.TrimSpace(string(f.payload))
			break
		}
	}
	whole := appendFrame(nil, kindStdin, 0, id, make([]byte, 50000))
	h.raw(whole[:777]) // the earlier host dies here
	h.raw(appendFrame(make([]byte, headerBytes+maxPayloadBytes), kindSync, 0, 0, []byte(nonceB)))
	for f := range h.frames {
		if f.kind == kindSyncAck && string(f.payload[:16]) == nonceB {
			break
		}
	}
	h.reply(h.ask("ping", "{}"))
	// The kill came before the ack; the zombie goes when its goroutine has run.
	until(t, func() bool { _, err := os.Stat("/proc/" + pid); return err != nil })
	if _, err := os.Stat(marker); err == nil {
		t.Fatal("the shell outlived its host")
	}
}

func TestNothingOfAnEarlierHostFollowsTheAck(t *testing.T) {
	h := newHost(t)
	for round := 0; round < 5; round++ {
		h.sync(nonceA)
		for i := 0; i < 16; i++ {
			h.ask("exec", `{"argv":["cat","/dev/zero"]}`)
		}
		for f := range h.frames {
			if f.kind == kindStdout {
				break // they are at it
			}
		}
		h.sync(nonceB)
		id := h.ask("ping", "{}")
		for f := range h.frames {
			if f.stream != id {
				t.Fatalf("a frame of kind %d on stream %d of the earlier host", f.kind, f.stream)
			}
			break
		}
	}
}

// until polls what has no event; go test's own time limit is the bound.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		runtime.Gosched()
	}
}

func TestDamageLeadsToLostAndSyncRepairs(t *testing.T) {
	for name, wire := range map[string][]byte{
		"checksum":             func() []byte { b := appendFrame(nil, kindCancel, 0, 1, nil); b[19] ^= 1; return b }(),
		"kind for hosts":       appendFrame(nil, kindStdout, 0, 1, nil),
		"request not JSON":     appendFrame(nil, kindRequest, 0, 1, []byte("{")),
		"request on stream 0":  appendFrame(nil, kindRequest, 0, 0, []byte(`{"name":"ping"}`)),
		"sync without a nonce": appendFrame(nil, kindSync, 0, 0, []byte("short")),
	} {
		h := newHost(t).sync(nonceA)
		h.raw(wire)
		if f := <-h.frames; f.kind != kindLost {
			t.Errorf("%s: kind %d instead of lost", name, f.kind)
		}
		h.sync(nonceB)
		h.reply(h.ask("ping", "{}"))
	}
}

func TestUnknownRequestsAndFieldsAreRefusedByName(t *testing.T) {
	h := newHost(t).sync(nonceA)
	asked := []string{
		h.askCode("unknown-request", "teleport", "{}"),
		h.askCode("bad-request", "exec", `{"argv":["true"],"sudo":true}`),
		h.askCode("not-found", "exec", `{"argv":["no-such-program-here"]}`),
		h.askCode("not-executable", "exec", `{"argv":["/etc/passwd"]}`),
		h.askCode("no-such-directory", "exec", `{"argv":["true"],"cwd":"/no/such"}`),
		h.askCode("unsupported", "exec", `{"argv":["true"],"tty":true}`),
		h.askCode("refused", "poweroff", `{"mode":"reboot"}`),
		h.askCode("refused", "clock.set", `{"unixMs":1800000000000}`),
		h.askCode("not-a-file", "file.read", `{"path":"/dev/zero","maxBytes":1}`),
	}
	for _, wrong := range asked {
		if wrong != "" {
			t.Error(wrong)
		}
	}
}

// askCode asks and says what is wrong with the refusal, or nothing.
func (h *host) askCode(code, name, body string) string {
	text := h.reply(h.ask(name, body))
	var answer struct{ Error refusal }
	if json.Unmarshal([]byte(text), &answer); answer.Error.Code != code || answer.Error.Message == "" {
		return fmt.Sprintf("%s %s: %s instead of %s", name, body, text, code)
	}
	return ""
}

func TestTheSixtyFifthStreamIsRefused(t *testing.T) {
	h := newHost(t).sync(nonceA)
	for i := 0; i < maxStreams; i++ {
		h.ask("exec", `{"argv":["cat"]}`)
	}
	if text := h.reply(h.ask("ping", "{}")); !strings.Contains(text, "too-many-streams") {
		t.Fatal(text)
	}
	h.sync(nonceB)
	h.reply(h.ask("ping", "{}"))
}

func TestHarmlessFactsHaveTheirParts(t *testing.T) {
	h := newHost(t).sync(nonceA)
	var body struct{ Ok facts }
	if err := json.Unmarshal([]byte(h.reply(h.ask("facts", "{}"))), &body); err != nil {
		t.Fatal(err)
	}
	if body.Ok.Kernel == nil || body.Ok.Memory == nil || body.Ok.Init == nil || body.Ok.Clock == nil || body.Ok.Links == nil {
		t.Fatalf("parts are missing: %v", body.Ok.Errors)
	}
}
