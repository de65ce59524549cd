#include "main_functions.h"

int main() {
  micronet::Setup();
  for (;;) micronet::Loop();
}
