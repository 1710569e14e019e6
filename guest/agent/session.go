// A session is one byte stream to a host: state, streams, and the one writer.
//
//	unsynced ──sync──► synced ──damage, hang-up──► unsynced
//
// Invariants: only the reading goroutine changes the epoch; every frame is written
// under one lock and only if its epoch is still the present one, so nothing of an
// earlier host follows a sync-ack. Whatever a host leaves behind (processes, probes)
// ends when its epoch ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// maxStreams bounds what one host can have running here at once.
	maxStreams = 64
	// windowBytes is the initial credit of each of stdin, stdout and stderr of a stream.
	windowBytes = 256 * 1024
	// nonceBytes is the length of the nonce of a sync.
	nonceBytes = 16
	// maxReplyBytes bounds one reply over all its parts.
	maxReplyBytes = 2 * 1024 * 1024
)

var errStale = errors.New("the host that asked is gone")

// refusal is a named answer "no"; code is part of the protocol.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{Code: code, Message: cut(fmt.Sprintf(format, args...), 500)}
}

type session struct {
	port  io.ReadWriter
	agent *agent

	writing sync.Mutex
	scratch []byte // encoded frame being written; under writing

	mu      sync.Mutex
	epoch   uint64 // 0 while unsynced; under mu
	synced  uint64 // how many syncs there were; under mu
	streams map[uint32]*stream
	decoder *decoder
}

// stream is one request of one epoch, and its process if it is an exec.
type stream struct {
	session *session
	id      uint32
	epoch   uint64
	ctx     context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex
	process *process
}

func newSession(port io.ReadWriter, a *agent) *session {
	return &session{port: port, agent: a, streams: map[uint32]*stream{}, decoder: newDecoder()}
}

// run reads until the port fails, which is its error. Streams are dropped then.
func (s *session) run() error {
	defer s.desync("")
	buffer := make([]byte, 32*1024)
	for {
		n, err := s.port.Read(buffer)
		s.decoder.feed(buffer[:n], s.onFrame, s.desync)
		if err != nil {
			return err
		}
	}
}

// desync ends the present epoch. With a reason the host is told, so that it syncs again.
func (s *session) desync(why string) {
	s.mu.Lock()
	epoch := s.epoch
	s.epoch = 0
	s.mu.Unlock()
	s.dropStreams()
	if epoch == 0 || why == "" {
		return
	}
	body, _ := json.Marshal(map[string]string{"why": why}) // cannot fail: strings only
	s.writing.Lock()
	defer s.writing.Unlock()
	s.writeLocked(kindLost, 0, 0, body)
}

func (s *session) dropStreams() {
	s.mu.Lock()
	dropped := s.streams
	s.streams = map[uint32]*stream{}
	s.mu.Unlock()
	for _, st := range dropped {
		st.cancel()
	}
}

func (s *session) onFrame(f frame) {
	if f.kind == kindSync {
		s.onSync(f.payload)
		return
	}
	s.mu.Lock()
	epoch, st := s.epoch, s.streams[f.stream]
	s.mu.Unlock()
	if epoch == 0 {
		return // left over from a host that is gone
	}
	switch f.kind {
	case kindRequest:
		s.onRequest(epoch, f.stream, f.payload)
	case kindStdin, kindStdinClose, kindCredit, kindSignal, kindCancel:
		if st == nil {
			return // the stream ended while this was on its way
		}
		if why := st.onFrame(f); why != "" {
			s.desync(why)
		}
	default:
		s.desync(fmt.Sprintf("kind %d is not for the agent", f.kind))
	}
}

func (s *session) onSync(nonce []byte) {
	if len(nonce) != nonceBytes {
		s.desync("sync without a nonce of 16 bytes")
		return
	}
	s.mu.Lock()
	s.epoch = 0
	s.mu.Unlock()
	s.dropStreams()
	hello, _ := json.Marshal(s.agent.hello()) // cannot fail: strings and numbers only
	payload := append(append([]byte{}, nonce...), hello...)
	// The lock is held from before the new epoch begins, so the ack is its first frame.
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.synced++
	s.epoch = s.synced
	s.mu.Unlock()
	s.writeLocked(kindSyncAck, 0, 0, payload)
}

func (s *session) onRequest(epoch uint64, id uint32, payload []byte) {
	var request struct {
		Name string          `json:"name"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(payload, &request); err != nil || id == 0 {
		s.desync("request that is not JSON, or on stream 0")
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	st := &stream{session: s, id: id, epoch: epoch, ctx: ctx, cancel: cancel}
	s.mu.Lock()
	_, twice := s.streams[id]
	full := len(s.streams) >= maxStreams
	if !twice && !full {
		s.streams[id] = st
	}
	s.mu.Unlock()
	if twice {
		cancel()
		s.desync("stream id used twice")
		return
	}
	if full {
		cancel()
		// Not from the reading goroutine's own time: the writer may be slow.
		go st.reply(nil, refuse("too-many-streams", "At most %d requests run at once.", maxStreams))
		return
	}
	if len(request.Body) == 0 {
		request.Body = json.RawMessage("{}")
	}
	go func() {
		defer st.end()
		st.serve(request.Name, request.Body)
	}()
}

// serve answers one request; a bug in a handler costs that request only.
func (st *stream) serve(name string, body json.RawMessage) {
	defer func() {
		if bug := recover(); bug != nil {
			logf("bug in %s: %v", cut(name, 40), bug)
			st.reply(nil, refuse("bug", "The agent failed inside: %v", bug))
		}
	}()
	if name == "exec" {
		st.exec(body)
		return
	}
	handle, known := requests[name]
	if !known {
		st.reply(nil, refuse("unknown-request", "This agent has no request %q.", cut(name, 40)))
		return
	}
	ok, no := handle(st, body)
	st.reply(ok, no)
}

// end forgets the stream, unless a later host already has one of that id.
func (st *stream) end() {
	st.cancel()
	s := st.session
	s.mu.Lock()
	if s.streams[st.id] == st {
		delete(s.streams, st.id)
	}
	s.mu.Unlock()
}

// onFrame is called by the reading goroutine and must not block.
func (st *stream) onFrame(f frame) (why string) {
	if f.kind == kindCancel {
		st.cancel()
		return ""
	}
	st.mu.Lock()
	p := st.process
	st.mu.Unlock()
	if p == nil {
		return "" // a plain request, or an exec still starting: hosts wait for its reply
	}
	switch f.kind {
	case kindStdin:
		return p.stdin.push(f.payload)
	case kindStdinClose:
		p.stdin.finish()
	case kindCredit:
		return p.credit(f.payload)
	case kindSignal:
		return p.onSignal(f.payload)
	}
	return ""
}

// reply sends {"ok":…} or {"error":…} in as many frames as it needs.
func (st *stream) reply(ok any, no *refusal) {
	var body []byte
	if no == nil {
		var err error
		if body, err = json.Marshal(map[string]any{"ok": ok}); err != nil {
			no = refuse("bug", "The answer cannot be written as JSON: %v", err)
		} else if len(body) > maxReplyBytes {
			no = refuse("too-large", "The answer has %d bytes; at most %d are sent.", len(body), maxReplyBytes)
		}
	}
	if no != nil {
		body, _ = json.Marshal(map[string]any{"error": no}) // cannot fail: strings only
	}
	for len(body) > maxPayloadBytes {
		if st.send(kindReply, flagMore, body[:maxPayloadBytes]) != nil {
			return
		}
		body = body[maxPayloadBytes:]
	}
	st.send(kindReply, 0, body)
}

// send writes one frame, or says errStale when the host that asked is gone.
func (st *stream) send(kind, flags byte, payload []byte) error {
	s := st.session
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	present := s.epoch
	s.mu.Unlock()
	if present != st.epoch {
		return errStale
	}
	return s.writeLocked(kind, flags, st.id, payload)
}

func (st *stream) sendJSON(kind byte, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return st.send(kind, 0, text)
}

// writeLocked needs writing held. An error needs no action here: the reader sees the
// same port fail and ends the session.
func (s *session) writeLocked(kind, flags byte, stream uint32, payload []byte) error {
	s.scratch = appendFrame(s.scratch[:0], kind, flags, stream, payload)
	_, err := s.port.Write(s.scratch)
	return err
}
