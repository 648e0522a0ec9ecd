// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/completion.h"

#include <functional>

#include <fmt/format.h>

#include "ctl/kinds.h"
#include "ctl/rates.h"

namespace pintle::ctl {
namespace {

std::string joined(const std::vector<std::string>& words, std::string_view gap = " ") {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? std::string() : std::string(gap)) + word;
  return text;
}

std::string choices_of(const std::string& placeholder) {
  if (placeholder == "FORMAT") return "table wide json yaml name jsonpath=";
  if (placeholder == "STATE") return "running ready exit";
  if (placeholder == "SHELL") return "bash zsh fish";
  if (placeholder == "EVENT") return "connect sendmsg bind accept packet tcp device sysctl sockopt exec exit oom deny all";
  if (placeholder == "COLUMN") return joined({std::begin(kSortKeys), std::end(kSortKeys)});
  if (placeholder == "KIND") return joined(known_kinds());
  return {};
}

std::string kinds_of(const std::string& path) { return path == "delete" ? "pods" : path == "describe" ? "pods nodes" : choices_of("KIND"); }

std::string last_word(const std::string& path) { return path.substr(path.rfind(' ') == std::string::npos ? 0 : path.rfind(' ') + 1); }

void each(const CompletionCommand& command, const std::function<void(const CompletionCommand&)>& visit) {
  visit(command);
  for (const auto& child : command.commands) each(child, visit);
}

std::string flag_words(const CompletionCommand& root, const CompletionCommand& command) {
  std::vector<std::string> words;
  for (const auto& flag : command.flags) words.insert(words.end(), flag.names.begin(), flag.names.end());
  if (&root != &command)  // what the program takes, each command takes
    for (const auto& flag : root.flags)
      if (flag.names.back() != "--help" && flag.names.back() != "--version")
        words.insert(words.end(), flag.names.begin(), flag.names.end());
  return joined(words);
}

// "get|-o": one case pattern for each flag that takes a value, with the lines that answer it.
template <typename Answer>
std::string value_cases(const CompletionCommand& root, const Answer& answer) {
  std::string text;
  each(root, [&](const CompletionCommand& command) {
    for (const auto& flag : command.flags) {
      if (flag.value.empty()) continue;
      for (const auto& name : flag.names)
        text += fmt::format("    {}) {} ;;\n", &command == &root ? fmt::format("*'|{}'", name) : fmt::format("'{}|{}'", command.path, name),
                            answer(flag.value));
    }
  });
  return text;
}

std::string path_cases(const CompletionCommand& root) {
  std::string text;
  each(root, [&](const CompletionCommand& command) {
    for (const auto& child : command.commands)
      text += fmt::format("      '{}|{}') spot='{}' ;;\n", command.path, last_word(child.path), child.path);
  });
  return text;
}

std::string child_words(const CompletionCommand& command) {
  std::vector<std::string> words;
  for (const auto& child : command.commands) words.push_back(last_word(child.path));
  return joined(words);
}

std::string flag_cases(const CompletionCommand& root) {
  std::string text;
  each(root, [&](const CompletionCommand& command) {
    text += fmt::format("      '{}') offer='{}' ;;\n", command.path, flag_words(root, command));
  });
  return text;
}

// `pods`: the shell's words that set `offer` to bare pod names. `kind`: those that look at the kind given before.
std::string argument_cases(const CompletionCommand& root) {
  std::string text;
  each(root, [&](const CompletionCommand& command) {
    std::string answer;
    if (!command.commands.empty())
      answer = fmt::format("offer='{}'", child_words(command));
    else if (command.argument == "POD")
      answer = "if [[ $cur == pod/* ]]; then offer=\"$(_pintlectl_names pod/)\"; else offer=\"$(_pintlectl_names '')\"; fi";
    else if (command.argument == "KIND")
      answer = fmt::format(
          "if [[ $cur == pod/* ]]; then offer=\"$(_pintlectl_names pod/)\"; elif [[ -z $kind ]]; then offer='{}'; "
          "elif [[ $kind == po* ]]; then offer=\"$(_pintlectl_names '')\"; fi",
          kinds_of(command.path));
    else if (const auto choices = choices_of(command.argument); !choices.empty())
      answer = fmt::format("offer='{}'", choices);
    if (!answer.empty()) text += fmt::format("      '{}') {} ;;\n", command.path, answer);
  });
  return text;
}

// The walk over the words typed so far is the same in bash and zsh, but for how an array is indexed. Its variable is not
// called path: in zsh that is where commands are looked for.
std::string walk(const CompletionCommand& root, std::string_view first, std::string_view array, std::string_view current) {
  return fmt::format(R"(  local cur="${{{1}[{2}]}}" prev="${{{1}[{2}-1]}}" spot='' kind='' offer='' word i takes=''
  namespace=() socket=()
  for (( i = {0}; i < {2}; i++ )); do
    word="${{{1}[i]}}"
    if [[ -n $takes ]]; then
      case "$takes" in
        -n|--namespace) namespace=(-n "$word") ;;
        --socket) socket=(--socket "$word") ;;
      esac
      takes=''
      continue
    fi
    case "$spot|$word" in
{3}{4}      *) if [[ $word != -* && -z $kind ]]; then kind="$word"; fi ;;
    esac
  done
)",
                     first, array, current, path_cases(root),
                     value_cases(root, [](const std::string&) { return std::string("takes=\"$word\""); }));
}

constexpr std::string_view kNames = R"(# Pods of the daemon that the words so far name, each behind the given prefix.
_pintlectl_names() {
  local name
  pintlectl "${socket[@]}" get pods "${namespace[@]}" -o name 2>/dev/null | while read -r name; do echo "$1${name#pod/}"; done
}
)";

}  // namespace

std::string bash_completion(const CompletionCommand& root) {
  const auto value_answer = [](const std::string& placeholder) -> std::string {
    if (placeholder == "FILE") return "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames 2>/dev/null; return";
    if (const auto choices = choices_of(placeholder); !choices.empty())
      return fmt::format("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\"); return", choices);
    if (placeholder == "POD") return "mapfile -t COMPREPLY < <(compgen -W \"$(_pintlectl_names '')\" -- \"$cur\"); return";
    return "return";
  };
  std::string text = "# bash completion of pintlectl. For this shell: source <(pintlectl completion bash)\n";
  text += kNames;
  text += "\n_pintlectl() {\n  local namespace socket\n  COMPREPLY=()\n";
  text += walk(root, "1", "COMP_WORDS", "COMP_CWORD");
  text += "  case \"$spot|$prev\" in\n" + value_cases(root, value_answer) + "  esac\n";
  text += "  if [[ $cur == -* ]]; then\n    case \"$spot\" in\n" + flag_cases(root) + "    esac\n  else\n    case \"$spot\" in\n" +
          argument_cases(root) + "    esac\n  fi\n";
  text += "  mapfile -t COMPREPLY < <(compgen -W \"$offer\" -- \"$cur\")\n}\ncomplete -F _pintlectl pintlectl\n";
  return text;
}

std::string zsh_completion(const CompletionCommand& root) {
  const auto value_answer = [](const std::string& placeholder) -> std::string {
    if (placeholder == "FILE") return "_files; return";
    if (const auto choices = choices_of(placeholder); !choices.empty()) return fmt::format("compadd -- {}; return", choices);
    if (placeholder == "POD") return "compadd -- $(_pintlectl_names ''); return";
    return "return";
  };
  std::string text = "#compdef pintlectl\n# zsh completion of pintlectl. For this shell: source <(pintlectl completion zsh)\n";
  text += kNames;
  text += "\n_pintlectl() {\n  local -a namespace socket\n";
  text += walk(root, "2", "words", "CURRENT");
  text += "  case \"$spot|$prev\" in\n" + value_cases(root, value_answer) + "  esac\n";
  text += "  if [[ $cur == -* ]]; then\n    case \"$spot\" in\n" + flag_cases(root) + "    esac\n  else\n    case \"$spot\" in\n" +
          argument_cases(root) + "    esac\n  fi\n";
  // ${=offer} splits into words, which zsh does not do by itself.
  text +=
      "  compadd -- ${=offer}\n}\nif [[ $zsh_eval_context[-1] == loadautofunc ]]; then _pintlectl \"$@\"; else compdef _pintlectl "
      "pintlectl; fi\n";
  return text;
}

std::string fish_completion(const CompletionCommand& root) {
  const auto quoted = [](std::string text) {
    for (size_t at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 2)) text.insert(at, "\\");
    return "'" + text + "'";
  };
  std::string text = R"(# fish completion of pintlectl. For this shell: pintlectl completion fish | source
function __pintlectl_at --description 'Whether the commands typed so far are exactly the arguments'
  set -l path
  for word in (commandline -opc)[2..-1]
    string match -q -- '-*' $word; and continue
    contains -- (string trim -- "$path $word") $__pintlectl_paths; and set path $path $word
  end
  test "$path" = "$argv"
end
function __pintlectl_pods --description 'Names of the pods of this node'
  pintlectl get pods -A -o name 2>/dev/null | string replace pod/ ''
end
)";
  std::vector<std::string> paths;
  each(root, [&](const CompletionCommand& command) {
    if (!command.path.empty()) paths.push_back(quoted(command.path));
  });
  text += "set -g __pintlectl_paths " + joined(paths) + "\ncomplete -c pintlectl -f\n";
  each(root, [&](const CompletionCommand& command) {
    const auto condition = fmt::format("complete -c pintlectl -n \"__pintlectl_at {}\"", command.path.empty() ? "''" : command.path);
    for (const auto& child : command.commands)
      text += fmt::format("{} -a {} -d {}\n", condition, last_word(child.path), quoted(child.description));
    for (const auto& flag : command.flags) {
      std::string line = &command == &root ? "complete -c pintlectl" : condition;
      for (const auto& name : flag.names) line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (flag.value == "FILE")
        line += " -r -F";
      else if (const auto choices = choices_of(flag.value); !choices.empty())
        line += " -x -a " + quoted(choices);
      else if (flag.value == "POD")
        line += " -x -a '(__pintlectl_pods)'";
      else if (!flag.value.empty())
        line += " -x";
      text += line + " -d " + quoted(flag.description) + "\n";
    }
    if (command.argument == "POD")
      text += condition + " -a '(__pintlectl_pods)'\n";
    else if (command.argument == "KIND")
      text += condition + " -a " + quoted(kinds_of(command.path) + " (__pintlectl_pods)") + "\n";
    else if (const auto choices = choices_of(command.argument); !choices.empty())
      text += condition + " -a " + quoted(choices) + "\n";
  });
  return text;
}

}  // namespace pintle::ctl
