// Package channel is the client with which the session's pod calls the runtime. It gets the session's task, and reports that
// the desktop is ready, when the session was last used, and how its command ended.
package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"berth/berthd/internal/auth"
)

const (
	callTimeout  = 10 * time.Second
	longestPause = 30 * time.Second
	// longPoll is how long the runtime may delay its answer to a request for the task while the session has no owner.
	longPoll = 25 * time.Second
	// mostAnswerBytes limits the size of an answer. It is larger than the largest task that the runtime accepts.
	mostAnswerBytes = 4 << 20
)

// Client calls the runtime with a token that only this session's pod has.
type Client struct {
	URL    string
	Tokens auth.TokenFile
	Log    *log.Logger
	http   http.Client
}

// NewClient returns a client of the runtime at the URL. The client ignores the proxy that the tenant may have set for its
// agents, because the runtime is inside the cluster.
func NewClient(url string, tokens auth.TokenFile, logger *log.Logger) *Client {
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}
	return &Client{URL: url, Tokens: tokens, Log: logger, http: http.Client{Transport: transport}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refused is the error if the runtime answers with a status other than success.
type Refused struct {
	Status int
	Detail string
	// RetryAfter is the pause that the runtime asks for before the next attempt; nil if the answer has no such header.
	RetryAfter *time.Duration
}

func (r *Refused) Error() string { return fmt.Sprintf("%d %s", r.Status, r.Detail) }

// Call makes one request and decodes the answer's JSON into `answer`, unless `answer` is nil.
func (c *Client) Call(ctx context.Context, method, path string, body, answer any) error {
	return c.call(ctx, method, path, body, answer, 0)
}

func (c *Client) call(ctx context.Context, method, path string, body, answer any, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+wait)
	defer cancel()
	tokens, err := c.Tokens.Tokens()
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		return fmt.Errorf("%s holds no token", c.Tokens)
	}
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, payload)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+tokens[0])
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if wait > 0 {
		request.Header.Set("Prefer", fmt.Sprintf("wait=%d", int(wait.Seconds())))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswerBytes))
	if err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refused(response, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

func refused(response *http.Response, text []byte) error {
	var problem struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(text, &problem)
	found := &Refused{Status: response.StatusCode, Detail: problem.Detail}
	if seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 32); err == nil {
		after := time.Duration(min(seconds, 60)) * time.Second
		found.RetryAfter = &after
	}
	return found
}

// insist repeats a request until the runtime answers with success or the context ends. The pause before the next attempt is
// the one that the runtime asks for, or else grows with each attempt. The log contains the first failure and the first
// success after a failure.
func (c *Client) insist(ctx context.Context, method, path string, body, answer any, wait time.Duration) error {
	waits, attempt := false, 0
	for {
		asked := time.Now()
		err := c.call(ctx, method, path, body, answer, wait)
		if err == nil {
			if waits {
				c.Log.Printf("%s %s: answered", method, path)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !waits {
			c.Log.Printf("%s %s: %v; trying again", method, path, err)
		}
		waits = true
		var pause time.Duration
		pause, attempt = pauseAfter(err, attempt, time.Since(asked))
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// pauseAfter returns how long to wait after an error, and the number of the next attempt. If the runtime has delayed its
// answer and asks for no pause, the pause is zero.
func pauseAfter(err error, attempt int, took time.Duration) (pause time.Duration, next int) {
	const shortest = 250 * time.Millisecond
	var answer *Refused
	if errors.As(err, &answer) && answer.RetryAfter != nil {
		if *answer.RetryAfter > 0 || took >= time.Second {
			return *answer.RetryAfter, 0
		}
		return shortest, 0
	}
	longest := min(longestPause, shortest<<attempt)
	return longest/2 + rand.N(longest/2), min(attempt+1, 10)
}

// sleep waits, and returns false if the context has ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Task is the session's task.
type Task struct {
	Command []string          `json:"command"` // empty: none
	Env     map[string]string `json:"env"`
	Secrets map[string]string `json:"secrets"`
}

// Task waits for the session's task. While the session has no owner, the runtime delays its answers. Before Task returns, it
// tells the runtime that the task has arrived. From then on the runtime refuses to give out the task. Otherwise the session's
// programs, which can read this pod's token, could get the task's secrets.
func (c *Client) Task(ctx context.Context) (*Task, error) {
	task := &Task{}
	if err := c.insist(ctx, http.MethodGet, "/session/task", nil, task, longPoll); err != nil {
		return task, err
	}
	for attempt := 0; ; {
		err := c.Call(ctx, http.MethodPost, "/session/task/taken", nil, nil)
		var answer *Refused
		if err == nil || (errors.As(err, &answer) && answer.Status == http.StatusNotFound) { // a runtime of an older version
			return task, nil
		}
		c.Log.Printf("POST /session/task/taken: %v; trying again", err)
		var pause time.Duration
		if pause, attempt = pauseAfter(err, attempt, 0); !sleep(ctx, pause) {
			return task, ctx.Err()
		}
	}
}

// Ready reports to the runtime that the session is ready, and whether it has a desktop.
func (c *Client) Ready(ctx context.Context, desktop bool) error {
	return c.insist(ctx, http.MethodPost, "/session/ready", map[string]any{"desktop": desktop}, nil, 0)
}

// Progress reports the agent's progress, in at most five attempts. `percent` may be nil.
func (c *Client) Progress(ctx context.Context, message string, percent *float64) error {
	body := map[string]any{"message": message}
	if percent != nil {
		body["percent"] = *percent
	}
	var err error
	for range 5 {
		if err = c.Call(ctx, http.MethodPost, "/session/progress", body, nil); err == nil {
			return nil
		}
		pause := time.Second
		var answer *Refused
		if errors.As(err, &answer) {
			if answer.RetryAfter == nil {
				return err
			}
			pause = *answer.RetryAfter
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
	return err
}
