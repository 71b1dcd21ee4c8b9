// The guide's first page: nothing runs here.

import { dressPage } from "./stage.ts";

dressPage();
