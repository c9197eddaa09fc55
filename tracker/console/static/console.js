// What pages do beyond what HTML does by itself; without it every page still works.
"use strict";
