//! The board: energy, power, clocks, temperature, throttling, by NVML.
//!
//! A binding of our own to the few functions needed; signatures from NVIDIA's NVML API reference.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};

use super::error::GpuError;
use super::libraries::{Library, Opened, open};

type Device = *mut c_void;
type Status = c_int;

const CLOCK_SM: c_uint = 1;
const CLOCK_MEMORY: c_uint = 2;
const TEMPERATURE_GPU: c_uint = 0;
const SUCCESS: Status = 0;

/// What the board says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardState {
    /// Clock of the streaming multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Clock of the memory in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Temperature of the GPU in degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Power of the board in milliwatts; a mean over the last second on most devices.
    pub power_mw: Option<u32>,
    /// NVML's bits of reasons for lower clocks.
    pub throttle: Option<u32>,
}

/// A device's board.
#[derive(Debug)]
pub struct Board {
    library: &'static Opened,
    device: Device,
}

impl Board {
    /// The board of the device at a PCI bus address such as `0000:17:00.0`: numbers differ between CUDA and NVML where
    /// some devices are hidden.
    ///
    /// # Errors
    ///
    /// If NVML cannot be loaded or does not know the device.
    pub(super) fn open(bus: &CStr) -> Result<Self, GpuError> {
        let library = open(Library::Nvml)?;
        let missing = |name: &str| failed(name, "the library has no such function");
        let mut device: Device = std::ptr::null_mut();
        // SAFETY: the types are those of the API reference; strings and places are valid for the calls.
        unsafe {
            let init: unsafe extern "C" fn() -> Status =
                library.function("nvmlInit_v2").ok_or_else(|| missing("nvmlInit_v2"))?;
            checked("nvmlInit_v2", init())?;
            let name = "nvmlDeviceGetHandleByPciBusId_v2";
            let find: unsafe extern "C" fn(*const c_char, *mut Device) -> Status =
                library.function(name).ok_or_else(|| missing(name))?;
            checked(name, find(bus.as_ptr(), &raw mut device))?;
        }
        Ok(Board { library, device })
    }

    /// A number that a function of the form `(device, *number)` gives.
    fn number<T: Default>(&self, name: &str) -> Result<T, GpuError> {
        let mut value = T::default();
        // SAFETY: every function asked for here has this form, with a number of the size of `T`.
        unsafe {
            let ask: unsafe extern "C" fn(Device, *mut T) -> Status =
                self.library.function(name).ok_or_else(|| failed(name, "the library has no such function"))?;
            checked(name, ask(self.device, &raw mut value))?;
        }
        Ok(value)
    }

    /// A number that a function of the form `(device, which, *number)` gives.
    fn number_of(&self, name: &str, which: c_uint) -> Result<u32, GpuError> {
        let mut value: c_uint = 0;
        // SAFETY: every function asked for here has this form.
        unsafe {
            let ask: unsafe extern "C" fn(Device, c_uint, *mut c_uint) -> Status =
                self.library.function(name).ok_or_else(|| failed(name, "the library has no such function"))?;
            checked(name, ask(self.device, which, &raw mut value))?;
        }
        Ok(value)
    }

    /// Energy in millijoules since the driver was loaded, of the whole board. It moves in steps of about 100 ms.
    ///
    /// # Errors
    ///
    /// If the device does not count energy (before Volta) or the machine hides it.
    pub fn energy_mj(&self) -> Result<u64, GpuError> {
        self.number::<c_ulonglong>("nvmlDeviceGetTotalEnergyConsumption")
    }

    /// Power limit in force, in milliwatts.
    ///
    /// # Errors
    ///
    /// If the device does not say.
    pub fn power_limit_mw(&self) -> Result<u32, GpuError> {
        self.number("nvmlDeviceGetEnforcedPowerLimit")
    }

    /// Highest clocks of the streaming multiprocessors and of the memory, in MHz.
    ///
    /// # Errors
    ///
    /// If the device does not say.
    pub fn highest_clocks_mhz(&self) -> Result<(u32, u32), GpuError> {
        let highest = |which| self.number_of("nvmlDeviceGetMaxClockInfo", which);
        Ok((highest(CLOCK_SM)?, highest(CLOCK_MEMORY)?))
    }

    /// What the board says now; what it does not say is left out.
    pub fn state(&self) -> BoardState {
        let clock = |which| self.number_of("nvmlDeviceGetClockInfo", which).ok();
        let reasons = self.number::<c_ulonglong>("nvmlDeviceGetCurrentClocksEventReasons");
        let reasons = reasons.or_else(|_| self.number::<c_ulonglong>("nvmlDeviceGetCurrentClocksThrottleReasons"));
        BoardState {
            sm_clock_mhz: clock(CLOCK_SM),
            memory_clock_mhz: clock(CLOCK_MEMORY),
            temperature_c: self.number_of("nvmlDeviceGetTemperature", TEMPERATURE_GPU).ok(),
            power_mw: self.number("nvmlDeviceGetPowerUsage").ok(),
            throttle: reasons.ok().map(|bits| bits as u32),
        }
    }
}

/// Version of the driver, as NVML gives it (`580.159.04`).
pub(super) fn driver_version() -> Result<String, GpuError> {
    let library = open(Library::Nvml)?;
    let mut text = [0 as c_char; 96];
    let name = "nvmlSystemGetDriverVersion";
    // SAFETY: the types are those of the API reference, the length is the buffer's.
    unsafe {
        let init: unsafe extern "C" fn() -> Status =
            library.function("nvmlInit_v2").ok_or_else(|| failed(name, "the library has no nvmlInit_v2"))?;
        checked("nvmlInit_v2", init())?;
        let ask: unsafe extern "C" fn(*mut c_char, c_uint) -> Status =
            library.function(name).ok_or_else(|| failed(name, "the library has no such function"))?;
        checked(name, ask(text.as_mut_ptr(), text.len() as c_uint))?;
    }
    let bytes: Vec<u8> = text.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    Ok(CString::new(bytes).unwrap_or_default().to_string_lossy().into_owned())
}

fn failed(doing: &str, problem: &str) -> GpuError {
    GpuError::Driver { doing: doing.to_owned(), problem: problem.to_owned() }
}

/// The commoner of NVML's return codes in words.
fn checked(doing: &str, status: Status) -> Result<(), GpuError> {
    let problem = match status {
        SUCCESS => return Ok(()),
        3 => "this device or machine does not support it",
        4 => "no permission",
        9 => "the driver is not loaded",
        15 => "the GPU has fallen off the bus",
        _ => return Err(failed(doing, &format!("NVML error {status}"))),
    };
    Err(failed(doing, problem))
}
