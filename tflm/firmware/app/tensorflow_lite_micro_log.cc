// SPDX-License-Identifier: Apache-2.0
#include "tensorflow_lite_micro_log.h"

#include <cassert>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensorflow/lite/micro/debug_log.h"

namespace micronet {
namespace {

constexpr std::size_t kMessageBytes = 160;  // the last is a zero
// All that the library prints when it stops, as a message of its own.
constexpr char kHalted[] = "HALTED";

char first_message[kMessageBytes];
std::size_t first_message_length = 0;
bool is_first_message_complete = false;

// Arguments of printf, in a form that functions can take from one after the other.
struct Arguments {
  std::va_list list;
};

// Writes what fits, as snprintf does, and counts what it is given.
class TextBuffer {
 public:
  TextBuffer(char *memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}

  void Append(char character) {
    if (length_ + 1 < bytes_) memory_[length_] = character;
    ++length_;
  }

  void AppendText(const char *text) {
    for (; *text != '\0'; ++text) Append(*text);
  }

  void AppendNumber(std::uint64_t number, unsigned base) {
    char digits[20];  // of the largest number in decimal
    int count = 0;
    do {
      digits[count++] = "0123456789abcdef"[number % base];
      number /= base;
    } while (number != 0);
    while (count > 0) Append(digits[--count]);
  }

  // Ends the text with a zero and returns the length that it should have had.
  std::size_t End() {
    if (bytes_ > 0) memory_[length_ < bytes_ ? length_ : bytes_ - 1] = '\0';
    return length_;
  }

 private:
  char *memory_;
  std::size_t bytes_;
  std::size_t length_ = 0;
};

// Of the integers that arguments can be: those for which printf has the letters "", l, ll, z.
enum class Size { kInt, kLong, kLongLong, kSize };

// Reads the letters before a conversion that say the size of its argument.
Size ReadSize(const char **format) {
  Size size = Size::kInt;
  for (;; ++*format) {
    switch (**format) {
      case 'h':  // an int, once it is an argument
        break;
      case 'l':
        size = size == Size::kLong ? Size::kLongLong : Size::kLong;
        break;
      case 'j':
        size = Size::kLongLong;
        break;
      case 'z':
      case 't':
        size = Size::kSize;
        break;
      default:
        return size;
    }
  }
}

std::int64_t TakeSigned(Size size, Arguments *arguments) {
  switch (size) {
    case Size::kInt:
      return va_arg(arguments->list, int);
    case Size::kLong:
      return va_arg(arguments->list, long);
    case Size::kLongLong:
      return va_arg(arguments->list, long long);
    case Size::kSize:
      break;
  }
  return va_arg(arguments->list, std::ptrdiff_t);
}

std::uint64_t TakeUnsigned(Size size, Arguments *arguments) {
  switch (size) {
    case Size::kInt:
      return va_arg(arguments->list, unsigned int);
    case Size::kLong:
      return va_arg(arguments->list, unsigned long);
    case Size::kLongLong:
      return va_arg(arguments->list, unsigned long long);
    case Size::kSize:
      break;
  }
  return va_arg(arguments->list, std::size_t);
}

// Skips flags, width and precision: numbers are written in as many digits as they have.
void SkipLayout(const char **format, Arguments *arguments) {
  for (; **format != '\0' && std::strchr("-+ #.0123456789*", **format) != nullptr; ++*format) {
    if (**format == '*') va_arg(arguments->list, int);
  }
}

void AppendSigned(std::int64_t number, TextBuffer *text) {
  if (number < 0) text->Append('-');
  const std::uint64_t bits = static_cast<std::uint64_t>(number);
  text->AppendNumber(number < 0 ? 0 - bits : bits, 10);
}

// Writes one argument by the conversion that `conversion` names.
void AppendArgument(char conversion, Size size, Arguments *arguments, TextBuffer *text) {
  switch (conversion) {
    case 'd':
    case 'i':
      return AppendSigned(TakeSigned(size, arguments), text);
    case 'u':
      return text->AppendNumber(TakeUnsigned(size, arguments), 10);
    case 'x':
    case 'X':
      return text->AppendNumber(TakeUnsigned(size, arguments), 16);
    case 'p':
      return text->AppendNumber(reinterpret_cast<std::uintptr_t>(va_arg(arguments->list, void *)),
                                16);
    case 'c':
      return text->Append(static_cast<char>(va_arg(arguments->list, int)));
    case 's': {
      const char *argument = va_arg(arguments->list, const char *);
      return text->AppendText(argument != nullptr ? argument : "(none)");
    }
    case 'a':
    case 'e':
    case 'f':
    case 'g':
      // Printing a floating-point number takes more code than a whole kernel.
      va_arg(arguments->list, double);
      return text->Append('?');
    default:
      return text->Append(conversion);  // of "%%"
  }
}

void AppendFormatted(const char *format, Arguments *arguments, TextBuffer *text) {
  while (*format != '\0') {
    if (*format != '%') {
      text->Append(*format++);
      continue;
    }
    ++format;
    SkipLayout(&format, arguments);
    const Size size = ReadSize(&format);
    if (*format == '\0') return;
    AppendArgument(*format++, size, arguments, text);
  }
}

// Keeps a part of a message; a control character, such as a line's end, ends the message.
void Keep(const char *part) {
  for (; *part != '\0' && !is_first_message_complete; ++part) {
    if (static_cast<unsigned char>(*part) >= ' ') {
      if (first_message_length + 1 < kMessageBytes) first_message[first_message_length++] = *part;
    } else {
      is_first_message_complete = first_message_length > 0;
    }
  }
  first_message[first_message_length] = '\0';
}

}  // namespace

const char *FirstMessage() { return first_message; }

void ForgetMessages() {
  first_message[0] = '\0';
  first_message_length = 0;
  is_first_message_complete = false;
}

}  // namespace micronet

extern "C" int DebugVsnprintf(char *buffer, std::size_t buf_size, const char *format,
                              std::va_list vlist) {
  micronet::Arguments arguments;
  va_copy(arguments.list, vlist);
  micronet::TextBuffer text(buffer, buf_size);
  micronet::AppendFormatted(format, &arguments, &text);
  va_end(arguments.list);
  return static_cast<int>(text.End());
}

extern "C" void DebugLog(const char *format, std::va_list args) {
  char part[micronet::kMessageBytes];
  DebugVsnprintf(part, sizeof(part), format, args);
  if (std::strcmp(part, micronet::kHalted) == 0) micronet::EndAfterHalt();
  micronet::Keep(part);
}

#if defined(__NEWLIB__)
// Headers of the library check conditions by assert, for which this C library calls a function that
// prints.
extern "C" void __assert_func(const char *, int, const char *, const char *condition) {
  micronet::Keep(condition);
  micronet::EndAfterHalt();
}
#endif
