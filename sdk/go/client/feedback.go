package client

import "context"

// Feedback is the part of the API about how good runs were.
type Feedback struct{ client *Client }

// GiveFeedback says how good a run was.
type GiveFeedback struct {
	// Score is 1 for good and -1 for bad.
	Score int `json:"score"`
	// Correction is what the answer should have been; it becomes a preference pair for training.
	Correction string `json:"correction,omitempty"`
	// Category e.g. safety_violation.
	Category string `json:"category,omitempty"`
}

// FeedbackGiven is feedback that was stored.
type FeedbackGiven struct {
	FeedbackID string `json:"feedback_id"`
	// PreferencePairID is what a correction became, or empty.
	PreferencePairID string `json:"preference_pair_id"`
}

// Give feedback on a run.
func (f *Feedback) Give(ctx context.Context, runID string, feedback GiveFeedback) (*FeedbackGiven, error) {
	var given FeedbackGiven
	if err := f.client.post(ctx, feedback, &given, false, "runs", runID, "feedback"); err != nil {
		return nil, err
	}
	return &given, nil
}
