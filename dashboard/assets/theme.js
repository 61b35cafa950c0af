// The reader's choice of light or dark, before anything is drawn. Not a module: those run too late.
"use strict";

const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
