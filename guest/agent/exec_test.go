package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestExecEnds(t *testing.T) {
	h := newHost(t).sync(nonceA)
	for _, c := range []struct{ script, code, signal string }{
		{"exit 0", "0", ""}, {"exit 7", "7", ""}, {"kill -TERM $$", "", "TERM"}, {"kill -SEGV $$", "", "SEGV"},
	} {
		r := h.finish(h.ask("exec", fmt.Sprintf(`{"argv":["sh","-c",%q]}`, c.script)))
		code, signal := "", ""
		if r.end.Code != nil {
			code = fmt.Sprint(*r.end.Code)
		}
		if r.end.Signal != nil {
			signal = *r.end.Signal
		}
		if code != c.code || signal != c.signal || r.end.TimedOut {
			t.Errorf("%s: code %q signal %q", c.script, code, signal)
		}
	}
	noChildren(t)
}

func TestExecTakesEnvironmentFolderAndUser(t *testing.T) {
	h := newHost(t).sync(nonceA)
	r := h.finish(h.ask("exec", `{"argv":["sh","-c","echo $A $PATH $PWD; id -u"],"env":{"A":"b"},"cwd":"/tmp"}`))
	if !strings.HasPrefix(r.text, "b "+defaultPath+" /tmp\n") {
		t.Errorf("got %q", r.text)
	}
	if os.Geteuid() == 0 {
		if r := h.finish(h.ask("exec", `{"argv":["id","-u"],"user":12345}`)); r.text != "12345\n" {
			t.Errorf("uid %q", r.text)
		}
	}
}

func TestExecTimeoutKillsTheGroup(t *testing.T) {
	h := newHost(t).sync(nonceA)
	r := h.finish(h.ask("exec", `{"argv":["sh","-c","sleep 1000 & echo $!; sleep 1000"],"timeoutMs":200}`))
	if !r.end.TimedOut || r.end.Signal == nil || *r.end.Signal != "KILL" {
		t.Errorf("end %+v", r.end)
	}
	noChildren(t)
	// The grandchild is gone too, or at least a zombie that waits for its init.
	until(t, func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(r.text) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestExecEndsAlthoughADaemonHoldsThePipe(t *testing.T) {
	h := newHost(t).sync(nonceA)
	id := h.ask("exec", `{"argv":["sh","-c","setsid sleep 30 & echo started; read line; exit 3"]}`)
	for f := range h.frames {
		if f.stream == id && f.kind == kindStdout {
			break
		}
	}
	h.send(kindStdin, id, "go\n")
	if r := h.finish(id); r.end.Code == nil || *r.end.Code != 3 {
		t.Errorf("%+v", r)
	}
}

func TestStdinIsEchoedUnderItsWindow(t *testing.T) {
	h := newHost(t).sync(nonceA)
	id := h.ask("exec", `{"argv":["cat"]}`)
	h.reply(id)
	for i := 0; i < 4; i++ {
		h.send(kindStdin, id, strings.Repeat("x", maxPayloadBytes))
	}
	h.send(kindStdinClose, id, "")
	if r := h.finish(id); r.stdout != 4*maxPayloadBytes || *r.end.Code != 0 {
		t.Errorf("%d bytes came back", r.stdout)
	}
}

func TestStdinOverItsWindowIsLost(t *testing.T) {
	h := newHost(t).sync(nonceA)
	id := h.ask("exec", `{"argv":["sleep","1000"]}`)
	h.reply(id)
	go func() {
		for i := 0; i < 6; i++ { // 384 KiB; a pipe takes 64, the window 256
			// Not h.send: the line may be closed already, which is fine here.
			h.line.Write(appendFrame(nil, kindStdin, 0, id, make([]byte, maxPayloadBytes)))
		}
	}()
	for f := range h.frames {
		if f.kind == kindLost {
			return
		}
	}
	t.Fatal("the agent took more than the window")
}

func TestOutputStopsAtTheWindowAndGoesOnWithCredit(t *testing.T) {
	h := newHost(t).sync(nonceA)
	id := h.ask("exec", `{"argv":["head","-c","1000000","/dev/zero"]}`)
	got := 0
	for got < windowBytes {
		if f := <-h.frames; f.kind == kindStdout {
			got += len(f.payload)
		}
	}
	// The process is blocked now: an answer to a later request comes before any more output.
	later := h.ask("ping", "{}")
	for f := range h.frames {
		if f.stream == later {
			break
		}
		if f.kind == kindStdout {
			t.Fatal("output beyond the window")
		}
	}
	h.grant(id, kindStdout, windowBytes)
	if r := h.finish(id); got+r.stdout != 1000000 {
		t.Errorf("%d bytes in all", got+r.stdout)
	}
}

func TestCreditBeyondTheWindowIsLost(t *testing.T) {
	h := newHost(t).sync(nonceA)
	id := h.ask("exec", `{"argv":["cat"]}`)
	h.reply(id)
	h.grant(id, kindStdout, windowBytes)
	if f := <-h.frames; f.kind != kindLost {
		t.Errorf("kind %d", f.kind)
	}
}

func TestSignalAndCancelReachTheProcess(t *testing.T) {
	h := newHost(t).sync(nonceA)
	id := h.ask("exec", `{"argv":["sleep","1000"]}`)
	h.reply(id)
	h.send(kindSignal, id, `{"signal":"INT"}`)
	if r := h.finish(id); r.end.Signal == nil || *r.end.Signal != "INT" {
		t.Errorf("%+v", r.end)
	}
	id = h.ask("exec", `{"argv":["sleep","1000"]}`)
	h.reply(id)
	h.send(kindCancel, id, "")
	if r := h.finish(id); r.end.Signal == nil || *r.end.Signal != "KILL" {
		t.Errorf("%+v", r.end)
	}
	noChildren(t)
}

func TestOneStreamsBlockedOutputDoesNotStopAnother(t *testing.T) {
	h := newHost(t).sync(nonceA)
	h.ask("exec", `{"argv":["cat","/dev/zero"]}`)
	if r := h.finish(h.ask("exec", `{"argv":["sh","-c","head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"]}`)); r.stdout != 3000000 || r.stderr != 3000000 {
		t.Errorf("%d and %d bytes", r.stdout, r.stderr)
	}
}
