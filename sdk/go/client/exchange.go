package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// requestTimeout of one try, until its whole answer is read.
	requestTimeout = 30 * time.Second
	// maxResponseBytes is more than any page of the API can be.
	maxResponseBytes = 64 << 20
	// maxTries of a request that may be repeated.
	maxTries = 3
)

// call is one request of the API.
type call struct {
	method string
	path   string
	query  url.Values
	// body is written as JSON; nil: none.
	body any
	// repeatable: to send it twice is the same as once.
	repeatable bool
}

// path under api/v1 from its segments, each escaped.
func route(segments ...string) (string, error) {
	escaped := make([]string, len(segments))
	for i, segment := range segments {
		// An empty or dot segment would name another resource than the one meant.
		if segment == "" || segment == "." || segment == ".." {
			return "", invalid("%q is not an id or a name.", segment)
		}
		escaped[i] = url.PathEscape(segment)
	}
	return "api/v1/" + strings.Join(escaped, "/"), nil
}

// get fills out, a pointer, with an answer.
func (c *Client) get(ctx context.Context, out any, query url.Values, segments ...string) error {
	path, err := route(segments...)
	if err != nil {
		return err
	}
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query, repeatable: true}, out)
}

// post sends a body and fills out, a pointer, with the answer.
func (c *Client) post(ctx context.Context, body, out any, repeatable bool, segments ...string) error {
	path, err := route(segments...)
	if err != nil {
		return err
	}
	return c.do(ctx, call{method: http.MethodPost, path: path, body: body, repeatable: repeatable}, out)
}

// do makes a call and fills out, a pointer or nil; again if that is without risk and may help.
func (c *Client) do(ctx context.Context, call call, out any) error {
	for try := 1; ; try++ {
		err := c.once(ctx, call, out)
		if err == nil || !call.repeatable || try == maxTries || !isPassing(err) {
			return err
		}
		if waitErr := sleep(ctx, c.waitBefore(try, err)); waitErr != nil {
			return errors.Join(waitErr, err)
		}
	}
}

// isPassing: the same request may succeed in a moment. A used up quota will not.
func isPassing(err error) bool {
	return errors.Is(err, CodeUnreachable) || errors.Is(err, CodeUnavailable) || errors.Is(err, CodeFenced)
}

func (c *Client) waitBefore(try int, err error) time.Duration {
	wait := c.waits.firstRetry << (try - 1)
	var known *Error
	if errors.As(err, &known) && known.RetryAfter > wait {
		wait = known.RetryAfter
	}
	return min(wait, c.waits.longestRetry)
}

func (c *Client) once(ctx context.Context, call call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := c.newRequest(ctx, call)
	if err != nil {
		return err
	}
	response, err := c.send(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := readBody(response)
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &Error{Code: CodeBadResponse, Status: response.StatusCode, cause: err, Detail: "The answer is not the JSON that was expected: " + err.Error()}
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, call call) (*http.Request, error) {
	var body io.Reader
	if call.body != nil {
		text, err := json.Marshal(call.body)
		if err != nil {
			return nil, &Error{Code: CodeInvalidInput, cause: err, Detail: "The request cannot be written as JSON: " + err.Error()}
		}
		body = bytes.NewReader(text)
	}
	address := c.base + call.path
	if len(call.query) > 0 {
		address += "?" + call.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, call.method, address, body)
	if err != nil {
		return nil, &Error{Code: CodeInvalidInput, cause: err, Detail: err.Error()}
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.userAgent)
	c.authorize(request)
	return request, nil
}

// send gives back a 2xx response, whose body the caller closes, or an [*Error]. If the caller's own
// context has ended, that is the error.
func (c *Client) send(request *http.Request) (*http.Response, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(request, err)
	}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		return nil, &Error{
			Code: CodeBadResponse, Status: response.StatusCode,
			Detail: fmt.Sprintf("%s redirects to %q.", request.URL.Host, response.Header.Get("Location")), Cure: "Give the final address with WithURL.",
		}
	}
	body, err := readBody(response)
	if err != nil {
		return nil, err
	}
	return nil, fromProblem(response.StatusCode, retryAfter(response.Header), body)
}

func unreachable(request *http.Request, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &Error{
		Code: CodeUnreachable, cause: err,
		Detail: fmt.Sprintf("No answer from %s: %s.", request.URL.Host, innermost(err)), Cure: "Is the server running, and is this its address?",
	}
}

// innermost leaves out what *url.Error says about the request, which the message has already.
func innermost(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func readBody(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBytes+1))
	if err != nil {
		return nil, unreachable(response.Request, err)
	}
	if len(body) > maxResponseBytes {
		return nil, &Error{Code: CodeBadResponse, Status: response.StatusCode, Detail: fmt.Sprintf("The answer is longer than %d bytes.", maxResponseBytes), Cure: "Ask for less with a limit."}
	}
	return body, nil
}

func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
