// Number keys choose, and Enter goes on, while the focus is among the answers.
const form = document.getElementById("trial");
const choices = [...form.querySelectorAll("fieldset input[type=radio]")];
form.querySelector("fieldset").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const choice = /^[1-9]$/.test(event.key) ? choices[Number(event.key) - 1] : undefined;
  if (choice) {
    choice.checked = true;
    choice.focus({ preventScroll: true });
    event.preventDefault();
  }
});
