// The session first, then the page.
import "./harness";
import "./run";
