// The guide's table of contents.

import { setUpPage } from "./page.ts";

setUpPage();
