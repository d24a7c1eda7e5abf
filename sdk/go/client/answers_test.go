package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openeaap/openeaap/sdk/go/client"
)

// answers is a server that gives one answer after another and keeps what it was asked.
type answers struct {
	mu      sync.Mutex
	asked   []*http.Request
	bodies  []string
	answers []http.HandlerFunc
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.asked, a.bodies = append(a.asked, r), append(a.bodies, string(body))
	next := a.answers[min(len(a.asked), len(a.answers))-1]
	a.mu.Unlock()
	next(w, r)
}

func answer(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// broken sends a part of an event stream and breaks the connection.
func broken(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, body)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func against(t *testing.T, list ...http.HandlerFunc) (*client.Client, *answers) {
	t.Helper()
	scripted := &answers{answers: list}
	server := httptest.NewServer(scripted)
	t.Cleanup(server.Close)
	c, err := client.New(client.WithURL(server.URL), client.WithAPIKey("k"), noEnvironment, client.WithWaits(time.Millisecond, 50*time.Millisecond, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c, scripted
}

func read(ctx context.Context, c *client.Client) (events []string, err error) {
	for event, problem := range c.Runs().Stream(ctx, "r") {
		if problem != nil {
			return events, problem
		}
		events = append(events, fmt.Sprintf("%d %s %s", event.Seq, event.Type, event.Data))
	}
	return events, nil
}

func frame(seq int, kind string) string {
	return fmt.Sprintf("id: %d\nevent: %s\ndata: {}\n\n", seq, kind)
}

const (
	stream  = "text/event-stream"
	asJSON  = "application/json"
	running = `{"run_id":"r","status":"running"}`
	ended   = `{"run_id":"r","status":"completed"}`
)

func TestEachEventComesOnceHoweverTheStreamIsCut(t *testing.T) {
	completed := frame(3, "run_completed")
	for _, test := range []struct {
		name string
		list []http.HandlerFunc
		want []string
		last string // Last-Event-ID of the last request for a stream
	}{
		{
			"whole", []http.HandlerFunc{answer(200, stream, "retry: 2000\n\n: hb\n\n"+frame(1, "run_created")+"event: step_delta\ndata: {\"text\":\"高\"}\n\n"+frame(2, "step_thought")+completed)},
			[]string{"1 run_created {}", `0 step_delta {"text":"高"}`, "2 step_thought {}", "3 run_completed {}"}, "",
		},
		{
			"with carriage returns and data in lines", []http.HandlerFunc{answer(200, stream, "id: 1\r\nevent: x\r\ndata: [1,\r\ndata: 2]\r\n\r\n"+completed)},
			[]string{"1 x [1,\n2]", "3 run_completed {}"}, "",
		},
		{
			"cut in the middle of an event", []http.HandlerFunc{broken(frame(1, "a") + "id: 2\nevent: b\nda"), answer(200, stream, frame(2, "b")+completed)},
			[]string{"1 a {}", "2 b {}", "3 run_completed {}"}, "1",
		},
		{
			"an event that comes again", []http.HandlerFunc{broken(frame(1, "a") + frame(2, "b")), answer(200, stream, frame(2, "b")+completed)},
			[]string{"1 a {}", "2 b {}", "3 run_completed {}"}, "2",
		},
		{
			"a server that stops", []http.HandlerFunc{
				answer(200, stream, frame(1, "a")), answer(200, asJSON, running),
				answer(503, "application/problem+json", `{"code":"unavailable"}`), answer(200, stream, frame(2, "b")+completed),
			},
			[]string{"1 a {}", "2 b {}", "3 run_completed {}"}, "1",
		},
		{
			"silence", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", stream)
				io.WriteString(w, frame(1, "a"))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}, answer(200, stream, completed)},
			[]string{"1 a {}", "3 run_completed {}"}, "1",
		},
		{
			"a run that has ended: the rest is stored", []http.HandlerFunc{
				answer(200, stream, frame(1, "a")), answer(200, asJSON, ended),
				answer(200, asJSON, `{"items":[{"seq":2,"type":"b","data":{}},{"seq":3,"type":"run_completed","data":{}}],"next_after":3}`),
			},
			[]string{"1 a {}", "2 b {}", "3 run_completed {}"}, "",
		},
		{
			"a run of which nothing follows", []http.HandlerFunc{answer(204, stream, ""), answer(200, asJSON, ended), answer(200, asJSON, `{"items":[],"next_after":0}`)},
			nil, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, scripted := against(t, test.list...)
			got, err := read(testContext(t), c)
			if err != nil || strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got %q, %v", got, err)
			}
			last := ""
			for _, request := range scripted.asked {
				if request.Header.Get("Accept") == stream {
					last = request.Header.Get("Last-Event-ID")
				}
			}
			if last != test.last || len(scripted.asked) != len(test.list) {
				t.Errorf("the last stream was asked for after %q, and there were %d requests", last, len(scripted.asked))
			}
		})
	}
}

func TestAStreamEndsWithAnErrorThatNoReconnectCures(t *testing.T) {
	for _, test := range []struct {
		name     string
		list     []http.HandlerFunc
		want     client.Code
		requests int
	}{
		{"refused", []http.HandlerFunc{answer(403, "application/problem+json", `{"code":"permission_denied","detail":"no"}`)}, client.CodePermissionDenied, 1},
		{"no stream", []http.HandlerFunc{answer(200, "text/html", "<html>")}, client.CodeBadResponse, 1},
		{"an endless event", []http.HandlerFunc{answer(200, stream, "data: "+strings.Repeat("x", 9<<20))}, client.CodeBadResponse, 1},
		{"many lines of one event", []http.HandlerFunc{answer(200, stream, strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 9))}, client.CodeBadResponse, 1},
		{"cut again and again", []http.HandlerFunc{broken("")}, client.CodeUnreachable, 11},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, scripted := against(t, test.list...)
			if _, err := read(testContext(t), c); !errors.Is(err, test.want) || len(scripted.asked) != test.requests {
				t.Errorf("%v after %d requests", err, len(scripted.asked))
			}
		})
	}
}

func TestAReaderThatHasEnoughEndsTheStream(t *testing.T) {
	gone := make(chan struct{})
	c, _ := against(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", stream)
		io.WriteString(w, frame(1, "a")+frame(2, "b"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	for event, err := range c.Runs().Stream(testContext(t), "r") {
		if err != nil || event.Seq != 1 {
			t.Fatal(event, err)
		}
		break
	}
	select {
	case <-gone:
	case <-time.After(testLimit):
		t.Error("the connection is still open")
	}
	ctx, cancel := context.WithCancel(testContext(t))
	c, _ = against(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := read(ctx, c); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOnlyWhatIsWithoutRiskIsSentAgain(t *testing.T) {
	away := answer(503, "application/problem+json", `{"code":"unavailable"}`)
	create := func(ctx context.Context, c *client.Client) error {
		_, err := c.Runs().Create(ctx, client.CreateRun{Agent: "a", Input: "x"})
		return err
	}
	decide := func(ctx context.Context, c *client.Client) error {
		_, err := c.Approvals().Decide(ctx, "a", client.ApprovalDecision{Verdict: client.VerdictApprove})
		return err
	}
	for _, test := range []struct {
		name     string
		do       func(context.Context, *client.Client) error
		list     []http.HandlerFunc
		want     error
		requests int
	}{
		{"a run", create, []http.HandlerFunc{away, broken(""), answer(202, asJSON, running)}, nil, 3},
		{"a run, three times at most", create, []http.HandlerFunc{away}, client.CodeUnavailable, 3},
		{"a run that was refused", create, []http.HandlerFunc{answer(429, "application/problem+json", `{"code":"quota_exceeded"}`)}, client.CodeQuotaExceeded, 1},
		{"a decision", decide, []http.HandlerFunc{away}, client.CodeUnavailable, 1},
		{"a proxy that is tired", create, []http.HandlerFunc{answer(502, "text/html", "<html>"), answer(202, asJSON, running)}, nil, 2},
		{"an answer that is no JSON", create, []http.HandlerFunc{answer(200, "text/html", "<html>")}, client.CodeBadResponse, 1},
		{"a redirect", create, []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://elsewhere.example/", 307) }}, client.CodeBadResponse, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, scripted := against(t, test.list...)
			if err := test.do(testContext(t), c); !errors.Is(err, test.want) || len(scripted.asked) != test.requests {
				t.Errorf("%v after %d requests", err, len(scripted.asked))
			}
			for _, body := range scripted.bodies {
				if body != scripted.bodies[0] {
					t.Errorf("%s and then %s: the idempotency key must stay", scripted.bodies[0], body)
				}
			}
		})
	}
}

func TestWhereAKeyGoes(t *testing.T) {
	write := func(text string) string {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "connection.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		io.WriteString(w, `{"items":[]}`)
	}))
	defer server.Close()
	here := write(fmt.Sprintf(`{"url":%q,"api_key":"of-the-file"}`, server.URL))
	elsewhere := write(`{"url":"http://192.0.2.1:8080","api_key":"of-the-file"}`)
	for _, test := range []struct {
		name string
		opts []client.Option
		want string // authorization, or a part of the error
		bad  bool
	}{
		{"the file's key to the file's server", []client.Option{client.WithDataDir(here)}, "Bearer of-the-file", false},
		{"my key to a server on this machine", []client.Option{client.WithDataDir(here), client.WithAPIKey("mine")}, "Bearer mine", false},
		{"my key to my server", []client.Option{client.WithURL(server.URL + "?x#y"), client.WithAPIKey("mine")}, "Bearer mine", false},
		{"the file's key not to another server", []client.Option{client.WithURL(server.URL), client.WithDataDir(elsewhere)}, "", false},
		{"my key not to a server that only a file names", []client.Option{client.WithDataDir(elsewhere), client.WithAPIKey("mine")}, "is not this machine", true},
		{"nothing known", []client.Option{client.WithDataDir(t.TempDir())}, "WithURL", true},
		{"a damaged file", []client.Option{client.WithDataDir(write(`{`))}, "damaged", true},
		{"no address", []client.Option{client.WithURL("localhost:8080")}, "http://127.0.0.1:8080", true},
		{"a password in the address", []client.Option{client.WithURL("http://a:b@x")}, "WithAPIKey", true},
		{"a key that no header carries", []client.Option{client.WithURL(server.URL), client.WithAPIKey("a\nb")}, "not ASCII", true},
		{"a client that cuts streams", []client.Option{client.WithURL(server.URL), client.WithHTTPClient(&http.Client{Timeout: time.Second})}, "Timeout", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := client.New(append(test.opts, noEnvironment)...)
			if test.bad {
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "a\nb") {
					t.Errorf("%v does not say %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Tools().List(testContext(t)); err != nil || got != test.want {
				t.Errorf("authorization %q, %v", got, err)
			}
		})
	}
}

func TestAServerThatIsNotThereIsUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	c, err := client.New(client.WithURL(server.URL), noEnvironment, client.WithWaits(time.Millisecond, time.Millisecond, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Runs().Get(testContext(t), "r")
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != client.CodeUnreachable || refused.Cure == "" {
		t.Error(err)
	}
}
