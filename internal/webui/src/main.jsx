// The form page: asks the questions of one XForm, one at a time, and keeps
// every answer on this device as it is given.
import { render } from 'preact';
import './polyfill.js';
import './form.css';
import { App } from './ui/app.jsx';
import { Words } from './words.js';

const given = JSON.parse(document.getElementById('visit').textContent);
const root = document.getElementById('form');
root.replaceChildren();
render(<App given={given} words={new Words(given.texts, given.lang)} />, root);
