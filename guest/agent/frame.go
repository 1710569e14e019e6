// Framing of the agent channel; PROTOCOL.md has the picture.
//
// Promises: no byte sequence makes the decoder panic, block or hold more than
// one frame; a frame is handed on only when its checksum is right. After damage
// it looks for the next frame from the byte behind the false start, so a whole
// frame that was swallowed by a torn one is found again.
package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	headerBytes = 20
	// maxPayloadBytes keeps both decoders small; larger answers are sent in parts.
	maxPayloadBytes = 65536
	// flagMore on a reply: the next reply frame of this stream continues it.
	flagMore = 1
)

var magic = []byte("LSK1")

const (
	kindSync       byte = 1
	kindSyncAck    byte = 2
	kindRequest    byte = 3
	kindReply      byte = 4
	kindStdin      byte = 5
	kindStdinClose byte = 6
	kindStdout     byte = 7
	kindStderr     byte = 8
	kindExit       byte = 9
	kindCredit     byte = 10
	kindSignal     byte = 11
	kindCancel     byte = 12
	kindLost       byte = 13
	kindLast            = kindLost
)

type frame struct {
	kind    byte
	flags   byte
	stream  uint32
	payload []byte // valid only until the decoder is fed again
}

// appendFrame adds one encoded frame to dst; payload must not exceed maxPayloadBytes.
func appendFrame(dst []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	var header [headerBytes]byte
	copy(header[:4], magic)
	header[4] = kind
	header[5] = flags
	binary.BigEndian.PutUint32(header[8:], stream)
	binary.BigEndian.PutUint32(header[12:], uint32(len(payload)))
	sum := crc32.ChecksumIEEE(header[4:16])
	binary.BigEndian.PutUint32(header[16:], crc32.Update(sum, crc32.IEEETable, payload))
	return append(append(dst, header[:]...), payload...)
}

// decoder turns bytes into frames. Its buffer never exceeds one frame.
type decoder struct {
	buffer []byte
	// garbageBytes counts bytes that belonged to no frame.
	garbageBytes uint64
	// badFrames counts starts of frames that turned out damaged.
	badFrames uint64
}

func newDecoder() *decoder {
	return &decoder{buffer: make([]byte, 0, headerBytes+maxPayloadBytes)}
}

// feed calls onFrame for each whole frame and onBad for each damaged one.
func (d *decoder) feed(input []byte, onFrame func(frame), onBad func(why string)) {
	for {
		room := cap(d.buffer) - len(d.buffer)
		take := len(input)
		if take > room {
			take = room
		}
		d.buffer = append(d.buffer, input[:take]...)
		input = input[take:]
		// drain always leaves less than one whole frame, so there is room again.
		d.drain(onFrame, onBad)
		if len(input) == 0 {
			return
		}
	}
}

func (d *decoder) drain(onFrame func(frame), onBad func(string)) {
	at := 0
	for {
		rest := d.buffer[at:]
		skip := nextMagic(rest)
		d.garbageBytes += uint64(skip)
		at += skip
		rest = rest[skip:]
		if len(rest) < headerBytes {
			break
		}
		if why := badHeader(rest); why != "" {
			d.badFrames++
			d.garbageBytes++
			at++
			onBad(why)
			continue
		}
		size := headerBytes + int(binary.BigEndian.Uint32(rest[12:]))
		if len(rest) < size {
			break
		}
		payload := rest[headerBytes:size]
		sum := crc32.Update(crc32.ChecksumIEEE(rest[4:16]), crc32.IEEETable, payload)
		if sum != binary.BigEndian.Uint32(rest[16:]) {
			d.badFrames++
			d.garbageBytes++
			at++ // not the whole frame: a good one may be inside
			onBad("checksum")
			continue
		}
		onFrame(frame{kind: rest[4], flags: rest[5], stream: binary.BigEndian.Uint32(rest[8:]), payload: payload})
		at += size
	}
	d.buffer = d.buffer[:copy(d.buffer, d.buffer[at:])]
}

func badHeader(header []byte) string {
	kind := header[4]
	switch {
	case kind == 0 || kind > kindLast:
		return "unknown kind"
	case header[5]&^flagMore != 0 || (header[5] != 0 && kind != kindReply):
		return "unknown flags"
	case header[6] != 0 || header[7] != 0:
		return "reserved bytes"
	case binary.BigEndian.Uint32(header[12:]) > maxPayloadBytes:
		return "payload over the limit"
	}
	return ""
}

// nextMagic says how many bytes to skip until a magic, or what may become one, starts.
func nextMagic(data []byte) int {
	if i := bytes.Index(data, magic); i >= 0 {
		return i
	}
	for keep := len(magic) - 1; keep > 0; keep-- {
		if bytes.HasSuffix(data, magic[:keep]) {
			return len(data) - keep
		}
	}
	return len(data)
}
