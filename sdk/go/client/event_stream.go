package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxEventBytes is above any event: a tool result is cut at 64 KiB and a model's reply at 1 MiB.
const maxEventBytes = 8 << 20

// message of a stream of server-sent events.
type message struct {
	id, event, data string
}

var errEventTooLong = fmt.Errorf("an event is longer than %d bytes", maxEventBytes)

// readMessages calls take with each whole message until the stream ends (nil) or breaks, or take
// returns false. Alive is called for whatever comes, be it a heartbeat or a part of a line.
func readMessages(body io.Reader, alive func(), take func(message) bool) error {
	reader := bufio.NewReader(watchedReader{body, alive})
	var current message
	var data strings.Builder
	for {
		line, err := readLine(reader)
		if errors.Is(err, io.EOF) {
			// An unfinished message is not taken: it comes again whole.
			return nil
		}
		if err != nil {
			return err
		}
		if line == "" {
			if data.Len() > 0 {
				current.data = strings.TrimSuffix(data.String(), "\n")
				if !take(current) {
					return nil
				}
			}
			current, data = message{}, strings.Builder{}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			current.id = value
		case "event":
			current.event = value
		case "data":
			if data.Len()+len(value) > maxEventBytes {
				return errEventTooLong
			}
			data.WriteString(value)
			data.WriteByte('\n')
		}
	}
}

func readLine(reader *bufio.Reader) (string, error) {
	var line strings.Builder
	for {
		part, err := reader.ReadSlice('\n')
		line.Write(part)
		if errors.Is(err, bufio.ErrBufferFull) {
			if line.Len() > maxEventBytes {
				return "", errEventTooLong
			}
			continue
		}
		if err != nil {
			return "", err
		}
		return strings.TrimRight(line.String(), "\r\n"), nil
	}
}

// watchedReader tells of each read that brought something.
type watchedReader struct {
	io.Reader
	alive func()
}

func (r watchedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.alive()
	}
	return n, err
}
