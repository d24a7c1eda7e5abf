package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// reconnectsInARow that bring nothing, before a stream is given up: about two minutes.
	reconnectsInARow = 10
	// healthyStream: one that lived this long was a good one, even if a proxy cut it without an event.
	healthyStream = 10 * time.Second
	// eventsPerPage is the most that a page may hold.
	eventsPerPage = 200
)

// Event of a run.
type Event struct {
	// Seq is 1, 2, 3 ... within the run; 0: a piece of text (step_delta), which is a preview and is
	// not stored.
	Seq int64 `json:"seq"`
	// Type is run_created, run_started, step_thought, policy_decision, tool_call, tool_result,
	// run_paused, run_completed ...
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
	// At is when it happened; zero for events as they come live.
	At time.Time `json:"at"`
}

// Delta is the text of a step_delta, and empty for all other events.
func (e Event) Delta() string {
	var delta struct{ Text string }
	if e.Type != "step_delta" || json.Unmarshal(e.Data, &delta) != nil {
		return ""
	}
	return delta.Text
}

// Ends says whether it is the event with which a run ends.
func (e Event) Ends() bool {
	status, isRun := strings.CutPrefix(e.Type, "run_")
	return isRun && RunStatus(status).Ended()
}

// Stream gives all events of a run, from its first to its last, as they happen. A connection that is
// cut is made again and goes on after the last event that came, so that each comes exactly once and
// in order. An error ends the stream; the run goes on regardless.
func (r *Runs) Stream(ctx context.Context, runID string) iter.Seq2[Event, error] {
	return r.StreamAfter(ctx, runID, 0)
}

// StreamAfter is [Runs.Stream] for the events after a number.
func (r *Runs) StreamAfter(ctx context.Context, runID string, seq int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		reader := streamReader{client: r.client, runs: r, runID: runID, seq: seq, yield: yield}
		if err := reader.run(ctx); err != nil {
			yield(Event{}, err)
		}
	}
}

// streamReader follows one run over as many connections as it takes.
type streamReader struct {
	client *Client
	runs   *Runs
	runID  string
	// seq of the newest event that was given to the reader.
	seq   int64
	yield func(Event, error) bool
	// done: the run has ended, or the reader wants no more.
	done bool
}

func (s *streamReader) run(ctx context.Context) error {
	for failures := 0; ; {
		opened, before := time.Now(), s.seq
		err := s.readOnce(ctx)
		if s.done {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			if err = s.finishIfEnded(ctx); s.done {
				return nil
			}
			if err == nil {
				err = &Error{Code: CodeUnreachable, Detail: "The server ended the stream before the run had ended."}
			}
		}
		if !isReconnectable(err) {
			return err
		}
		if s.seq > before || time.Since(opened) >= healthyStream {
			failures = 0
		}
		if failures++; failures > reconnectsInARow {
			return err
		}
		if err := sleep(ctx, s.client.waitBefore(failures, err)); err != nil {
			return err
		}
	}
}

func isReconnectable(err error) bool {
	return isPassing(err) || errors.Is(err, CodeQuotaExceeded) || errors.Is(err, CodeInternal)
}

// take gives an event to the reader, unless it has had it.
func (s *streamReader) take(event Event) bool {
	if event.Seq != 0 && event.Seq <= s.seq {
		return true
	}
	if event.Seq != 0 {
		s.seq = event.Seq
	}
	if !s.yield(event, nil) || event.Ends() {
		s.done = true
	}
	return !s.done
}

// readOnce reads one connection; nil: the server ended it in good order.
func (s *streamReader) readOnce(ctx context.Context) error {
	path, err := route("runs", s.runID, "events")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Silence, even of heartbeats, is a dead connection; so is a server that does not begin to answer.
	idle := time.AfterFunc(s.client.waits.streamIdle, func() {
		cancel(fmt.Errorf("nothing came for %s", s.client.waits.streamIdle))
	})
	defer idle.Stop()
	request, err := s.client.newRequest(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	if s.seq > 0 {
		request.Header.Set("Last-Event-ID", strconv.FormatInt(s.seq, 10))
	}
	response, err := s.client.send(request)
	if err != nil {
		return s.broken(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return nil
	}
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return &Error{Code: CodeBadResponse, Status: response.StatusCode, Detail: fmt.Sprintf("The server answered with %q and not with an event stream.", kind), Cure: "Is there a proxy in between that changes it?"}
	}
	alive := func() { idle.Reset(s.client.waits.streamIdle) }
	err = readMessages(response.Body, alive, func(m message) bool { return s.take(fromMessage(m)) })
	if errors.Is(err, errEventTooLong) {
		return &Error{Code: CodeBadResponse, Status: response.StatusCode, Detail: "The stream cannot be read: " + err.Error() + "."}
	}
	return s.broken(ctx, err)
}

// broken turns whatever cut a connection into "unreachable", after which it is made again.
func (s *streamReader) broken(ctx context.Context, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &Error{Code: CodeUnreachable, Detail: "The stream was cut: " + err.Error() + ".", cause: err}
}

func fromMessage(m message) Event {
	event := Event{Type: m.event, Data: json.RawMessage(m.data)}
	if seq, err := strconv.ParseInt(m.id, 10, 64); err == nil && m.event != "step_delta" {
		event.Seq = seq
	}
	return event
}

// finishIfEnded is for a stream that the server ended without a last event: a run that had ended
// before, or a node that is stopping.
func (s *streamReader) finishIfEnded(ctx context.Context) error {
	run, err := s.runs.Get(ctx, s.runID)
	if err != nil || !run.Status.Ended() {
		return err
	}
	for event, err := range s.runs.Events(ctx, s.runID, s.seq) {
		if err != nil {
			return err
		}
		if !s.take(event) {
			return nil
		}
	}
	s.done = true
	return nil
}

// Events gives the stored events after a number, without waiting for more.
func (r *Runs) Events(ctx context.Context, runID string, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			var page struct {
				Items     []Event `json:"items"`
				NextAfter int64   `json:"next_after"`
			}
			query := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(eventsPerPage)}}
			if err := r.client.get(ctx, &page, query, "runs", runID, "events"); err != nil {
				yield(Event{}, err)
				return
			}
			for _, event := range page.Items {
				if !yield(event, nil) {
					return
				}
			}
			if len(page.Items) == 0 || page.NextAfter <= after {
				return
			}
			after = page.NextAfter
		}
	}
}
