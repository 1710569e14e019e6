// linstock-agent answers the host from inside a microVM, over a line that needs no network.
//
// It waits on a virtio-serial port called linstock.agent.0 and on vsock port 1024, whichever
// there are, for ever: a closed or missing port is tried again with back-off.
// PROTOCOL.md says what is spoken. -listen and -stdio are for tests: they never touch power,
// clock or entropy of the machine they run on.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

const (
	agentVersion    = "0.1.0"
	protocolVersion = 1
	// memoryLimitBytes is soft: 64 streams at their limits need about 30 MB.
	memoryLimitBytes = 48 << 20
)

// agent is what all sessions share.
type agent struct {
	transport string
	// harmless: requests that change the machine are refused.
	harmless bool
}

type hello struct {
	Protocol  int    `json:"protocol"`
	Agent     string `json:"agent"`
	Pid       int    `json:"pid"`
	BootID    string `json:"bootId"`
	Transport string `json:"transport"`
}

func (a *agent) hello() hello {
	return hello{protocolVersion, agentVersion, os.Getpid(), readLine("/proc/sys/kernel/random/boot_id", 64), a.transport}
}

// logf writes one line to stderr, which an init usually connects to the console.
func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "linstock-agent: "+format+"\n", args...)
}

func main() {
	listen := flag.String("listen", "", "unix:PATH: serve connections there, each by itself, for tests")
	stdio := flag.Bool("stdio", false, "serve stdin and stdout once, for tests")
	version := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *version {
		fmt.Println(agentVersion)
		return
	}
	// A console that went away must not end the agent. Caught, not ignored: an ignored signal
	// would stay ignored in every process the agent starts.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGPIPE, syscall.SIGHUP)
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(memoryLimitBytes)
	switch {
	case *stdio:
		serveStdio()
	case strings.HasPrefix(*listen, "unix:"):
		if err := serveUnix(strings.TrimPrefix(*listen, "unix:")); err != nil {
			logf("%v", err)
			os.Exit(1)
		}
	case *listen != "" || flag.NArg() > 0:
		flag.Usage()
		os.Exit(2)
	default:
		// The first collection pays for page faults and, in an emulated guest, for translating the code (139 ms against 51 ms
		// for a later one, measured under TCG). It is paid while the guest boots, not when somebody waits for a proof.
		go collectFacts(context.Background())
		go serveVsock()
		serveSerial()
	}
}
