// Passkeys: what the server asks goes to the device, what the device answers goes to the server.
"use strict";

const bytesOf = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const textOf = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function asked(address, token, body = {}) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", "x-form-token": token },
    body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.told ?? found.error), { is: found.is });
  return found;
}

const described = (list) => (list ?? []).map((one) => ({ ...one, id: bytesOf(one.id) }));

function answerOf(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = textOf(credential.response[name]);
  }
  return { id: credential.id, rawId: textOf(credential.rawId), type: credential.type, response };
}

async function logIn(button) {
  const { token, next } = button.dataset;
  const options = await asked("/log-in/passkey/ask", token);
  options.challenge = bytesOf(options.challenge);
  options.allowCredentials = described(options.allowCredentials);
  const credential = await navigator.credentials.get({ publicKey: options });
  const address = `/log-in/passkey?next=${encodeURIComponent(next)}`;
  location.assign((await asked(address, token, answerOf(credential))).next);
}

async function add(form) {
  const { token } = form.dataset;
  const password = form.elements.password.value;
  const options = await asked("/account/passkeys/ask", token, { password });
  options.challenge = bytesOf(options.challenge);
  options.user.id = bytesOf(options.user.id);
  options.excludeCredentials = described(options.excludeCredentials);
  const credential = await navigator.credentials.create({ publicKey: options });
  const label = form.elements.label.value;
  const body = { credential: answerOf(credential), label };
  location.assign((await asked("/account/passkeys", token, body)).next);
}

function tried(element, act) {
  act(element).catch((error) => {
    document.getElementById("passkey-told").textContent =
      element.dataset[error.is] ?? element.dataset.failed + error.message;
  });
}

if (window.PublicKeyCredential) {
  const button = document.getElementById("passkey-log-in");
  const form = document.getElementById("passkey-add");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => tried(button, logIn));
  }
  if (form) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      tried(form, add);
    });
  }
}
