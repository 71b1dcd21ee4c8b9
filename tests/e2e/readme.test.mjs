// The extraction itself: a block that is not found would be a test that is not run.
import assert from "node:assert/strict";
import { test } from "node:test";
import { asModule, pagesOf } from "./lib/readme.mjs";

test("blocks of one name are joined, and other blocks are left alone", () => {
  const text = "# x\r\n```ts test=first-page\r\nlet a = 1;\r\n```\nwords\n```ts\nno();\n```\n```ts test=other more words\nb();\n```\n\n```ts test=first-page\na += 1;\n```\n";
  assert.deepEqual([...pagesOf(text)], [["first-page", "let a = 1;\na += 1;\n"], ["other", "b();\n"]]);
});

test("the example's address becomes the running server's, however it is quoted", () => {
  const code = `f("https://sync.example.com", 'https://sync.example.com/'); g("https://other.example.com");`;
  assert.equal(asModule(code), `f(session.url, session.url); g("https://other.example.com");\nexport {};\n`);
});
