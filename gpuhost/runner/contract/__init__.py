"""What the controller and the runner share: paths, unit and file names, states, file formats.

Other packages import only this and `plan` of the runner.
"""

from gpuhost.runner.contract.cards_inside import CARDS_HELD as CARDS_HELD
from gpuhost.runner.contract.cards_inside import CARDS_LOST as CARDS_LOST
from gpuhost.runner.contract.cards_inside import CARDS_UNKNOWN as CARDS_UNKNOWN
from gpuhost.runner.contract.cards_inside import ask_for_cards as ask_for_cards
from gpuhost.runner.contract.cards_inside import card_use as card_use
from gpuhost.runner.contract.cards_inside import is_given_by_hook as is_given_by_hook
from gpuhost.runner.contract.container_state import CONFIG_HASH as CONFIG_HASH
from gpuhost.runner.contract.container_state import CONTAINER_FORMAT as CONTAINER_FORMAT
from gpuhost.runner.contract.container_state import RecordedContainers as RecordedContainers
from gpuhost.runner.contract.container_state import differences as differences
from gpuhost.runner.contract.container_state import made_with as made_with
from gpuhost.runner.contract.container_state import recorded_containers as recorded_containers
from gpuhost.runner.contract.decode import LAST_SECOND as LAST_SECOND
from gpuhost.runner.contract.decode import from_json as from_json
from gpuhost.runner.contract.file_names import ENV_EXAMPLES as ENV_EXAMPLES
from gpuhost.runner.contract.file_names import EXAMPLE_SUFFIXES as EXAMPLE_SUFFIXES
from gpuhost.runner.contract.file_names import PLACEHOLDERS as PLACEHOLDERS
from gpuhost.runner.contract.file_names import has_content as has_content
from gpuhost.runner.contract.image_gate import Facts as Facts
from gpuhost.runner.contract.image_gate import Gate as Gate
from gpuhost.runner.contract.image_gate import GateResult as GateResult
from gpuhost.runner.contract.image_gate import environment_gate as environment_gate
from gpuhost.runner.contract.image_gate import requirement_gate as requirement_gate
from gpuhost.runner.contract.log_lines import STAGE as STAGE
from gpuhost.runner.contract.log_lines import STAGE_FAILED as STAGE_FAILED
from gpuhost.runner.contract.masking import LEAST_MASKED as LEAST_MASKED
from gpuhost.runner.contract.masking import Masking as Masking
from gpuhost.runner.contract.operation import RELEASE as RELEASE
from gpuhost.runner.contract.operation import REMOVE as REMOVE
from gpuhost.runner.contract.operation import RESTORE as RESTORE
from gpuhost.runner.contract.operation import ROLLBACK as ROLLBACK
from gpuhost.runner.contract.operation import Operation as Operation
from gpuhost.runner.contract.paths import APPS as APPS
from gpuhost.runner.contract.paths import AppPaths as AppPaths
from gpuhost.runner.contract.paths import ReleasePaths as ReleasePaths
from gpuhost.runner.contract.proxy_names import is_proxy as is_proxy
from gpuhost.runner.contract.replace_once import replace_once as replace_once
from gpuhost.runner.contract.result import FAILED as FAILED
from gpuhost.runner.contract.result import RESTORE_FAILED as RESTORE_FAILED
from gpuhost.runner.contract.result import RESTORED as RESTORED
from gpuhost.runner.contract.result import UNDONE as UNDONE
from gpuhost.runner.contract.result import UNKNOWN as UNKNOWN
from gpuhost.runner.contract.result import VERIFIED as VERIFIED
from gpuhost.runner.contract.result import Result as Result
from gpuhost.runner.contract.secret_names import is_secret_name as is_secret_name
from gpuhost.runner.contract.secret_names import words_in as words_in
from gpuhost.runner.contract.secret_names import words_of_name as words_of_name
from gpuhost.runner.contract.units import RESUME_UNIT_FILE as RESUME_UNIT_FILE
from gpuhost.runner.contract.units import UNITS as UNITS
from gpuhost.runner.contract.units import backup_unit as backup_unit
from gpuhost.runner.contract.units import logrotate_unit as logrotate_unit
from gpuhost.runner.contract.units import release_unit as release_unit
from gpuhost.runner.contract.units import resume_unit as resume_unit
